"""
What the store and the runs reach on this machine, measured: `./backoffice bench`.
"""
