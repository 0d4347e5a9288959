"""
What `--json` answers: one record per command, all of them in `every`.
"""
