"""Kinds of messages of the outbox, one file each."""
