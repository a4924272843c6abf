"""The shuffled control: does an I2T prompt win because of what its descriptions say?

Update_p is asked again with every case under the description of another image. An I2T prompt
whose proposal is no better than that one did not win through its descriptions.
"""

from collections.abc import Sequence
from dataclasses import replace

from ....models.roles.optimizer import Case
from ....models.roles.verbalizer import Verbalization
from ...search.paired_gain import Losses, Strata, paired_gain


def with_descriptions(cases: Sequence[Case], descriptions: Sequence[Verbalization]) -> list[Case]:
    """The cases under these descriptions; there may be fewer cases than descriptions."""
    return [
        replace(case, verbalization=description)
        for case, description in zip(cases, descriptions, strict=False)
    ]


def control_wins(parent: Losses, real: Losses, control: Losses, strata: Strata) -> bool:
    """Whether the control gains, and no less than the real proposal on the same items."""
    if paired_gain(parent, control, strata).mean <= 0:
        return False
    return paired_gain(real, control, strata).mean >= 0
