"""Which version of the package this is, and where it lies. A low module: `import sweep` would reach up to the API."""

from __future__ import annotations

from pathlib import Path

__all__ = ["PACKAGE_DIR", "SOURCE_ROOT", "__version__"]

__version__ = "0.1.0"

PACKAGE_DIR = Path(__file__).parent
SOURCE_ROOT = PACKAGE_DIR.parent
"""What a child process needs on its PYTHONPATH to import this very package."""
