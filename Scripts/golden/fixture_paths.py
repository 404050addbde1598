"""Where the golden scripts read and write, relative to the repository root."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "Tests" / "Fixtures"
MODELS = FIXTURES / "models"
GOLDEN = FIXTURES / "golden"
IMAGES = FIXTURES / "images"
DEMO = ROOT / "DemoModel"
