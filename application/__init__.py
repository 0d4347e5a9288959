"""
What can be asked: use cases. They know ports, never drivers.
"""
