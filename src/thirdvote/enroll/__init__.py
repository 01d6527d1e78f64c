"""Enrolment: lets nodes in, in a process of its own beside the voter. Besides the commands only it touches the authority's key.

Only `settings` may be imported by the voter: it loads nothing but the words of the two.
"""
