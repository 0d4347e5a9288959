"""
The real parts that tests run on, started from packages once per session.
"""
