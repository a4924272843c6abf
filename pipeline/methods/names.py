"""The ways to optimize a judge prompt."""

from enum import StrEnum


class Method(StrEnum):
    """blpo-fixed-i2t and blpo-judge-i2t are the ablations of the paper's Table 2; opro, apo,
    apo-image and textgrad its baselines (apo is apo-image with words in place of images)."""

    BLPO = "blpo"
    BLPO_FIXED_I2T = "blpo-fixed-i2t"
    BLPO_JUDGE_I2T = "blpo-judge-i2t"
    OPRO = "opro"
    APO = "apo"
    APO_IMAGE = "apo-image"
    TEXTGRAD = "textgrad"
    NONE = "none"
