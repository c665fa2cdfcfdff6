"""Actions of effects and automations, one file each."""
