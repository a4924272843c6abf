"""Names of the importers with a line each; light enough for the help of the command line."""

IMPORTER_NAMES = {
    "unsafebench": "UnsafeBench: is an image safe or unsafe? 11 categories (gated).",
    "seetrue": "SeeTRUE: does an image show what its text says?",
    "imagereward": "ImageRewardDB: alignment, fidelity or overall rating, 1-7.",
    "agin": "AGIN: how natural does a generated image look? Mean opinion scores.",
    "genai-bench": "GenAI-Bench: how well does an image follow its prompt? Three raters, 1-5.",
    "richhf": "RichHF-18K: overall, aesthetics, artifact or misalignment score.",
    "agiqa-3k": "AGIQA-3K: quality or alignment of generated images, mean opinion scores.",
    "koniq-10k": "KonIQ-10k: technical quality of photographs, about 105 raters each.",
    "evalmuse": "EvalMuse-40K: how well does an image follow its prompt? Several raters, 1-5.",
    "imagereward-pairs": "ImageRewardDB: which of two images is ranked higher, or a tie.",
    "hpdv2": "HPDv2: which of two images do annotators prefer? Several votes.",
    "hpdv3": "HPDv3: which of two images do annotators prefer? Unpacked from its tar.",
    "pickapic": "Pick-a-Pic v2: which of two images did a user pick, or a tie.",
    "mj-bench": "MJ-Bench: which of two images fits a caption? Four perspectives (gated).",
    "genai-bench-pairs": "GenAI-Bench of TIGER-Lab: votes for one of two images, both or neither.",
}
