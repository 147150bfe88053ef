"""Numbers in sentences."""


def number(value: float) -> str:
    """Six significant digits, trailing zeros left out: 0.412, 1e-05, nan. Whole numbers are written out."""
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def reports(count: int) -> str:
    """Such as "1 report", "5 reports"."""
    return f"{count} report" if count == 1 else f"{count} reports"
