"""Everything of one tenant in one file: written while people work (`write_archive`), restored as another tenant (`restore_archive`)."""

from saas.runtime.archive.asking import Ready, archive_of, list_archives, remove_old, start_archive
from saas.runtime.archive.restoring import Restored, restore_archive, sweep_attempts
from saas.runtime.archive.writing import Written, write_archive

__all__ = ["Ready", "Restored", "Written", "archive_of", "list_archives", "remove_old", "restore_archive", "start_archive", "sweep_attempts", "write_archive"]
