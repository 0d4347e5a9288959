"""
Who asks: a message.
"""
