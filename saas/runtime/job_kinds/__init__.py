"""Kinds of background jobs, one file each. Discovered by saas.runtime.kinds."""
