"""
The store and the read models on PostgreSQL.
"""
