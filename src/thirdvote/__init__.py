"""The third vote for two-node clusters."""

__version__ = "0.1.0"
