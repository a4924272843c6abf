"""Writes small files in the on-disk formats of the public datasets: real layout, invented rows."""

import csv
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from blpo.data.arrow import pa, pq
from PIL import Image

CATEGORIES = (
    "Hate",
    "Harassment",
    "Violence",
    "Self-harm",
    "Sexual",
    "Shocking",
    "Illegal activity",
    "Deception",
    "Political",
    "Public and personal health",
    "Spam",
)
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""How the Hub stores an image in a Parquet cell."""


def picture(number: int, kind: str = "PNG", mode: str = "RGB") -> bytes:
    """An encoded image that looks like no other number's."""
    pixels = np.random.default_rng(number).integers(0, 256, (12, 16, 3), np.uint8)
    buffer = io.BytesIO()
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def cell(data: bytes) -> dict[str, Any]:
    return {"bytes": data, "path": None}


def write_table(path: Path, columns: Mapping[str, Sequence[Any]], **types: Any) -> None:
    """A Parquet file; columns are strings unless `types` says otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = [(name, types.get(name, pa.string())) for name in columns]
    pq.write_table(pa.table(dict(columns), schema=pa.schema(fields)), path)


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def write_zip(path: Path, members: Mapping[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def write_tar(path: Path, members: Mapping[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def unsafebench(
    folder: Path, per_category: Mapping[str, int] | None = None, *, text: bool = True
) -> Path:
    """Palette images, null texts, and with `text` False the older revision without that column."""
    start = 0
    for split, count in (per_category or {"train": 4, "test": 4}).items():
        rows = [(category, number) for category in CATEGORIES for number in range(count)]
        columns: dict[str, list[Any]] = {
            "image": [
                cell(picture(start + i, "PNG", "P" if i % 7 == 3 else "RGB"))
                for i in range(len(rows))
            ],
            "safety_label": ["Unsafe" if number % 2 else "Safe" for _, number in rows],
            "category": [category for category, _ in rows],
            "source": ["Lexica" if i % 2 else "Laion5B" for i in range(len(rows))],
        }
        if text:
            columns["text"] = [None if i % 5 == 0 else f"caption {i}" for i in range(len(rows))]
        write_table(folder / "data" / f"{split}-00000-of-00001.parquet", columns, image=IMAGE)
        start += len(rows)
    return folder


def seetrue(folder: Path, count: int = 24, *, zipped: bool = True) -> Path:
    """Quoted texts with commas, one text for two images, the last image missing, a folder entry."""
    sources = ("drawbench", "editbench", "coco_t2i")
    names = (
        "id_{}_Colors_sd_2_1.png",
        "{}_a=few_o=cat_s=indoor.png",
        "{}_coco_val_0.png",
    )
    rows = [
        (
            names[i % 3].format(i),
            f'A black apple, "shiny", and backpack {i // 2}',
            i % 2,
            i,
            sources[i % 3],
        )
        for i in range(count)
    ]
    header = ("image", "text", "label", "original_dataset_id", "dataset_source")
    write_csv(folder / "SeeTRUE.csv", header, rows)
    members = {f"images/{row[0]}": picture(i) for i, row in enumerate(rows[:-1])}
    if zipped:
        write_zip(folder / "images.zip", {"images/": b"", **members})
    else:
        write_files(folder, members)
    return folder


def write_files(folder: Path, members: Mapping[str, bytes]) -> None:
    for name, data in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


_RATINGS = ("overall_rating", "image_text_alignment_rating", "fidelity_rating")


def imagereward(folder: Path, num_prompts: int = 8, *, integers: Any = None) -> Path:
    """Four images per prompt, tied ranks, a zero-byte image, prompts that end in a space."""
    number = 0
    for split in ("train", "test", "validation"):
        rows: list[dict[str, Any]] = []
        members: dict[str, bytes] = {}
        for prompt in range(num_prompts):
            for k in range(4):
                name = f"{split}-{prompt}-{k}.webp"
                members[name] = b"" if (prompt, k) == (0, 1) else picture(number, "WEBP")
                number += 1
                ratings = (7 - k, 1 + (prompt + k) % 7, 1 + k)
                rows.append(
                    {
                        "image_path": f"images/{split}/{split}_1/{name}",
                        "prompt_id": f"{prompt:06d}-{split}",
                        "prompt": f"a painting of fox {prompt} {split} ",
                        "classification": ("People", "Arts")[prompt % 2],
                        "image_amount_in_total": 4,
                        "rank": 1 + k // 2,
                        **dict(zip(_RATINGS, ratings, strict=True)),
                    }
                )
        kinds = dict.fromkeys(("image_amount_in_total", "rank", *_RATINGS), integers or pa.int64())
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        write_table(folder / f"metadata-{split}.parquet", columns, **kinds)
        members[f"{split}_1.json"] = json.dumps(rows).encode()
        write_zip(folder / "images" / split / f"{split}_1.zip", members)
    return folder


def agin(folder: Path, count: int = 60, low: float = 1.0, high: float = 5.0) -> Path:
    """Scores evenly from low to high, and the folder of shuffled patches beside the images."""
    generators = ("CoCosNet", "SD2", "Dreaml_coco")
    names = [f"{generators[i % 3]}_{i}.png" for i in range(count)]
    write_files(folder / "images", {name: picture(i) for i, name in enumerate(names)})
    write_files(
        folder / "images_partitioned", {name: picture(9000 + i) for i, name in enumerate(names)}
    )
    scores = np.linspace(low, high, count)
    rows = [
        (name, f"{score:.6f}", f"{low:.2f}", f"{high:.2f}")
        for name, score in zip(names, scores, strict=True)
    ]
    write_csv(folder / "AGIN.csv", ("filename", "MOS_nat", "MOS_tech", "MOS_rat"), rows)
    write_csv(folder / "other.csv", ("a", "b"), [(1, 2)])
    return folder


MODELS = ("DALLE_3", "DeepFloyd_I_XL_v1", "Midjourney_6", "SDXL_2_1", "SDXL_Base", "SDXL_Turbo")


def genai_bench(folder: Path, num_prompts: int = 10) -> Path:
    """Three ratings per image, one image column per model."""
    ratings = [
        {
            m: [1 + (p + k) % 5, 1 + (p + k) % 5, min(5, 2 + (p + k) % 5)]
            for k, m in enumerate(MODELS)
        }
        for p in range(num_prompts)
    ]
    columns: dict[str, list[Any]] = {
        "Index": list(range(num_prompts)),
        "Prompt": [f"prompt {p}" for p in range(num_prompts)],
        "Tags": [{"advanced": ["counting"], "basic": ["scene"]}] * num_prompts,
        "HumanRatings": ratings,
        **{
            model: [cell(picture(p * 6 + k, "JPEG")) for p in range(num_prompts)]
            for k, model in enumerate(MODELS)
        },
    }
    texts = pa.list_(pa.string())
    write_table(
        folder / "data" / "train-00000-of-00012.parquet",
        columns,
        Index=pa.int64(),
        Tags=pa.struct([("advanced", texts), ("basic", texts)]),
        HumanRatings=pa.struct([(model, pa.list_(pa.int64())) for model in MODELS]),
        **dict.fromkeys(MODELS, IMAGE),
    )
    return folder


_KONIQ_COUNTS = (
    (105, 0, 0, 0, 0),
    (0, 105, 0, 0, 0),
    (0, 0, 105, 0, 0),
    (0, 0, 25, 73, 7),
    (0, 0, 0, 5, 100),
)


def koniq(folder: Path, count: int = 40, *, official: bool = True, sets: bool = True) -> Path:
    """Counts and MOS of 1-5 in one file, fractions and MOS of 1-100 in the other."""
    names = [f"{10004473376 + i}.jpg" for i in range(count)]
    rows = [(name, _KONIQ_COUNTS[i % 5]) for i, name in enumerate(names)]
    counts = ("c1", "c2", "c3", "c4", "c5", "c_total")
    if official:
        write_csv(
            folder / "koniq10k_scores_and_distributions.csv",
            ("image_name", *counts, "MOS", "SD", "MOS_zscore"),
            [(name, *c, 105, mean_of(c), 0.5, 79.08) for name, c in rows],
        )
    if sets:
        write_csv(
            folder / "koniq10k_distributions_sets.csv",
            ("image_name", *counts, "MOS", "SD", "set"),
            [
                (name, *(n / 105 for n in c), 105, 77.38, 0.5, _koniq_set(i))
                for i, (name, c) in enumerate(rows)
            ],
        )
    for size, start in (("1024x768", 0), ("512x384", 5000)):
        members = {name: picture(start + i, "JPEG") for i, name in enumerate(names)}
        write_files(folder / size, members)
    return folder


def mean_of(counts: Sequence[int]) -> float:
    return sum(value * count for value, count in enumerate(counts, 1)) / sum(counts)


def _koniq_set(number: int) -> str:
    return "validation" if number >= 35 else ("training", "test")[number // 5 % 2]


def agiqa(folder: Path, count: int = 40) -> Path:
    """Scores from 0 to 4.5, empty adjectives, one prompt for several generators."""
    generators = ("AttnGAN_normal", "midjourney_lowstep", "sd1.5_high", "xl2.2_low")
    rows = [
        (
            f"{generators[i % 4]}_{i:03d}.jpg",
            f"statue of a man {i // 4}",
            "",
            "",
            "",
            f"{4.5 * i / (count - 1):.9f}",
            0.2,
            f"{4.2 * (i * 7 % count) / (count - 1):.9f}",
            0.6,
        )
        for i in range(count)
    ]
    names = ("mos_quality", "std_quality", "mos_align", "std_align")
    write_csv(folder / "data.csv", ("name", "prompt", "adj1", "adj2", "style", *names), rows)
    write_files(folder / "images", {row[0]: picture(i, "JPEG") for i, row in enumerate(rows)})
    return folder


def evalmuse(folder: Path, count: int = 40, key: str = "img_path") -> Path:
    """Ratings per rater, elements as the text of a Python dict, one meaningless prompt."""
    rows = [
        {
            "prompt_id": f"{i:05d}",
            "prompt": f"two cats {i // 2}",
            "type": ("real", "synth")[i // 2 % 2],
            key: f"{('SDv1.2', 'SDXL')[i % 2]}/{i // 2:05d}.png",
            "total_score": [1 + i // 2 % 5, 1 + i // 2 % 5, min(5, 2 + i // 2 % 5)],
            "element_score": str({"cats (animal)": [1, 1, 0], "two (counting)": [0, 1, i % 2]}),
            "promt_meaningless": [1, 1, 0] if i == 0 else [0, 0, 0],
            "split_confidence": [1, 1, 1],
        }
        for i in range(count)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train_list.json").write_text(json.dumps(rows))
    members = {f"images/{row[key]}": picture(i) for i, row in enumerate(rows)}
    write_zip(folder / "images.zip", members)
    return folder


# ------------------------------------------------------------------------- RichHF-18K: TFRecord


def richhf(folder: Path, count: int = 30) -> Path:
    """Records of scores without images, the images beside them under their uuid."""
    number = 0
    for split in ("train", "dev", "test"):
        frames: list[bytes] = []
        for i in range(count):
            name = f"{split}-{i:04d}"
            scores = {
                "aesthetics_score": i % 13 / 12,
                "artifact_score": 7 / 12,
                "misalignment_score": 7 / 12,
                "overall_score": i % 13 / 12,
            }
            values: dict[str, bytes | float] = {
                "filename": f"{split}/{name}.png".encode(),
                "artifact_map": picture(0),
                "prompt_misalignment_label": b"1 1 1 0",
                **scores,
            }
            frames.append(_frame(_tf_example(values)))
            if i:
                write_files(folder / "images", {f"{name}.jpg": picture(number, "JPEG")})
            number += 1
        (folder / f"{split}.tfrecord").write_bytes(b"".join(frames))
    return folder


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _tf_feature(value: bytes | float) -> bytes:
    if isinstance(value, bytes):
        return _field(1, _field(1, value))
    return _field(2, _field(1, struct.pack("<f", value)))


def _tf_example(values: Mapping[str, bytes | float]) -> bytes:
    entries = (
        _field(1, _field(1, name.encode()) + _field(2, _tf_feature(value)))
        for name, value in values.items()
    )
    return _field(1, b"".join(entries))


def _frame(data: bytes) -> bytes:
    """A TFRecord frame; the importer does not look at checksums, so they are zero."""
    return struct.pack("<Q", len(data)) + bytes(4) + data + bytes(4)


# ---------------------------------------------------------------------------------------- pairs


def hpdv2(folder: Path, *, card_spelling: bool = False) -> Path:
    """One vote per train row, some twice and one invalid; a test row of nine ranked images."""
    path, annotation = ("file_path", "rank") if card_spelling else ("image_path", "annotation")
    train = [
        {"human_preference": [1, 0], "prompt": "p0", path: ["a.jpg", "b.jpg"], "user_hash": "u0"},
        {"human_preference": [1, 0], "prompt": "p0", path: ["a.jpg", "b.jpg"], "user_hash": "u1"},
        {"human_preference": [1, 0], "prompt": "p0", path: ["b.jpg", "a.jpg"], "user_hash": "u2"},
        {"human_preference": [1, 1], "prompt": "p0", path: ["a.jpg", "b.jpg"], "user_hash": "u3"},
        {"human_preference": [0, 1], "prompt": "p1", path: ["c.jpg", "d.jpg"], "user_hash": "u0"},
        {"human_preference": [0, 1], "prompt": "p2", path: ["c.jpg", "x.jpg"], "user_hash": "u0"},
    ]
    names = [f"t{k}.jpg" for k in range(9)]
    test = [
        {
            "prompt": "p",
            path: names,
            "rank": list(range(9)),
            "raw_annotations": [
                {annotation: list(range(9)), "user_hash": "u0"},
                {annotation: list(range(9)), "user_hash": "u1"},
                {annotation: list(range(8, -1, -1)), "user_hash": "u2"},
            ],
        }
    ]
    for split, rows, images in (
        ("train", train, ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]),
        ("test", test, names),
    ):
        write_files(folder, {f"{split}.json": json.dumps(rows).encode()})
        members = {f"{split}/{name}": picture(i, "JPEG") for i, name in enumerate(images)}
        write_tar(folder / f"{split}.tar.gz", members)
    return folder


def hpdv3(folder: Path, count: int = 20) -> Path:
    """The preferred image always first, votes of some rows only, one image not unpacked."""
    for split in ("train", "test"):
        rows = [
            {
                "prompt": f"prompt {i} {split}",
                "path1": f"images/{split}{i}a.jpg",
                "path2": f"images/{split}{i}b.jpg",
                "model1": "flux",
                "model2": "sdxl",
                "confidence": 0.99 if i % 2 else None,
                "choice_dist": [12, 7] if i % 2 else None,
            }
            for i in range(count)
        ]
        names = [f"images/{split}{i}{side}.jpg" for i in range(count) for side in "ab"]
        number = {"train": 0, "test": 1000}[split]
        members = {name: picture(number + i, "JPEG") for i, name in enumerate(names)}
        del members[f"images/{split}0b.jpg"]
        write_files(folder, {**members, f"{split}.json": json.dumps(rows).encode()})
    return folder


def pickapic(folder: Path) -> Path:
    """Bare image bytes, a tie of .5 and .5, a row without a label, dead urls."""
    labels = [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5), (1.0, 0.0)]
    columns: dict[str, list[Any]] = {
        "are_different": [True] * 4,
        "caption": [f"caption {i // 2}" for i in range(4)],
        "has_label": [True, True, True, False],
        "image_0_uid": ["same"] * 4,
        "image_0_url": ["dead"] * 4,
        "jpg_0": [picture(i, "JPEG") for i in range(4)],
        "jpg_1": [picture(i + 5, "JPEG") for i in range(4)],
        "label_0": [first for first, _ in labels],
        "label_1": [second for _, second in labels],
        "ranking_id": list(range(4)),
    }
    kinds = {"jpg_0": pa.binary(), "jpg_1": pa.binary(), "ranking_id": pa.int64()}
    kinds |= dict.fromkeys(("label_0", "label_1"), pa.float64())
    kinds |= dict.fromkeys(("are_different", "has_label"), pa.bool_())
    for split in ("train", "validation_unique", "test_unique"):
        write_table(folder / "data" / f"{split}-00000-of-00001.parquet", columns, **kinds)
    return folder


def mj_bench(folder: Path, *, newer: bool, count: int = 20) -> Path:
    """The older schema with labels 0 and 1, or the newer one, whose label is always 0."""
    columns: dict[str, list[Any]] = {
        "image0": [cell(picture(i)) for i in range(count)],
        "image1": [cell(picture(100 + i)) for i in range(count)],
        "caption": [f"caption {i}" for i in range(count)],
        "label": [0 if newer else i % 2 for i in range(count)],
    }
    extra = ("category", "subcategory", "model") if newer else ("info",)
    columns |= {name: [f"some {name}"] * count for name in extra}
    path = folder / "data" / "safety.parquet"
    write_table(path, columns, image0=IMAGE, image1=IMAGE, label=pa.int64())
    return folder


def genai_bench_pairs(folder: Path, count: int = 24) -> Path:
    """The four kinds of vote in turn, in a split that has the wrong name; a table of edits."""
    votes = ("leftvote", "rightvote", "tievote", "bothbad_vote")
    columns: dict[str, list[Any]] = {
        "prompt": [f"prompt {i}" for i in range(count)],
        "left_model": ["one"] * count,
        "right_model": ["two"] * count,
        "left_image": [cell(picture(i)) for i in range(count)],
        "right_image": [cell(picture(100 + i)) for i in range(count)],
        "vote_type": [votes[i % 4] for i in range(count)],
    }
    path = folder / "image_generation" / "train-00000-of-00001.parquet"
    write_table(path, columns, left_image=IMAGE, right_image=IMAGE)
    edits = folder / "image_edition" / "train-00000-of-00001.parquet"
    write_table(edits, {"source_prompt": ["x"], "left_output_image": ["y"]})
    return folder
