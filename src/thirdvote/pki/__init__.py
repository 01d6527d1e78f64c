"""Certificates: the authority, the requests it signs, and the databases of the stock programs.

Only `paths`, `child` and `revocation_list` may be imported by the voter: they load no cryptography, and nothing here does so by itself.
"""
