"""The way to a unit: an interface, and SSH behind it."""
