"""
How we touch the world, and the one place that builds things (wiring).
"""
