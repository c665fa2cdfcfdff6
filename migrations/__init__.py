"""Piccolo migrations of the whole database: tables first, policies and grants in later files."""
