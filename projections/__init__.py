"""
What is shown: events in, rows out; one read model per module.
"""
