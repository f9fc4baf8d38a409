"""The transparency of the decorators: each test is one check, held by every kind of callable it applies to."""

import pytest

pytest.register_assert_rewrite(f"{__name__}.seeing")
