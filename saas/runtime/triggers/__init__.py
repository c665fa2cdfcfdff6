"""Triggers of automations, one file each."""
