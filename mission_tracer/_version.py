"""Name this version."""

VERSION = "0.1.0"
