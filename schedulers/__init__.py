"""
Who asks: a date.
"""
