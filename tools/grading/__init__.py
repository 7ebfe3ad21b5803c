"""Grading: whose answers there are, what each may do while it runs, what the checks say, and what becomes of it."""
