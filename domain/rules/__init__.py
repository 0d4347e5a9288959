"""
Rules of the law as pure functions on plain values; their numbers come from parameters.
"""
