"""
Who asks: a person, at the command line.
"""
