"""
Runs: how anything happens to many at once. `lifecycle` is the door, `ports` is what it asks of the outside.
"""
