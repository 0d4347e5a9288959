"""
What the papers look like: facts and bytes, pure.
"""
