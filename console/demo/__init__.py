"""
The demonstration: a made-up fund (`fund`), its zorgpremie year (`year`), and what there is to look at (`end`).
"""
