"""
A fund that does not exist: made-up members with real-looking data, and a made-up bank, from one seed. No fact in it is
about anybody.
"""
