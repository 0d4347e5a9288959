"""
The affiliation with CM-Zorgkas, in three files: what can have happened, what we remember of it, what we decide.
"""
