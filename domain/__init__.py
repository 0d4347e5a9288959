"""
What is true: words, rules, aggregates. Pure.
"""
