"""Kinds of steps by which records follow the configuration, one file each. Discovered by saas.runtime.kinds."""
