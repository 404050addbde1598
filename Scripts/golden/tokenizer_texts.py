"""The texts that the tokenizer goldens are made of: sentences, code, and seeded mixtures that look for trouble."""

import random

SENTENCES = [
    "The quick brown fox jumps over the lazy dog.", "She'll say they've gone; I'm sure it's fine, he'd know, we're late.",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.", "Voix ambiguë d'un cœur qui préfère les jattes de kiwis.",
    "Příliš žluťoučký kůň úpěl ďábelské ódy.", "Zażółć gęślą jaźń.", "Pijamalı hasta yağız şoföre çabucak güvendi. İIıi",
    "Tiếng Việt có nhiều dấu thanh: ăn quả nhớ kẻ trồng cây.", "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.", "ἄνδρα μοι ἔννεπε, Μοῦσα, πολύτροπον",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.", "Ґанок, їжак, єнот: щастя!", "Բոլոր մարդիկ ծնվում են ազատ։",
    "ყველა ადამიანი იბადება თავისუფალი.", "כל בני האדם נולדו בני חורין", "בְּרֵאשִׁית בָּרָא אֱלֹהִים", "يولد جميع الناس أحرارًا متساوين",
    "بِسْمِ ٱللَّهِ ٱلرَّحْمَٰنِ ٱلرَّحِيمِ", "تمام انسان آزاد پیدا ہوئے ہیں۔", "سبھی ۱۲۳ ٤٥٦", "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता प्राप्त है।",
    "সমস্ত মানুষ স্বাধীনভাবে জন্মগ্রহণ করে।", "ਸਾਰਾ ਮਨੁੱਖੀ ਪਰਿਵਾਰ ਆਜ਼ਾਦ ਹੈ।", "પ્રતિષ્ઠા અને અધિકારોની દૃષ્ટિએ સર્વ માનવો", "ସବୁ ମନୁଷ୍ୟ ଜନ୍ମକାଳରୁ ସ୍ୱାଧୀନ",
    "மனிதப் பிறிவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்", "ప్రతిపత్తిస్వత్వముల విషయమున మానవులెల్లరును", "ಎಲ್ಲಾ ಮಾನವರೂ ಸ್ವತಂತ್ರರಾಗಿಯೇ ಜನಿಸಿದ್ದಾರೆ",
    "മനുഷ്യരെല്ലാവരും തുല്യാവകാശങ്ങളോടും", "සියලු මනුෂ්‍යයෝ නිදහස්ව උපත ලබා ඇත.", "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกัน ๑๒๓", "ມະນຸດທຸກຄົນເກີດມາມີກຽດສັກສີ",
    "មនុស្សទាំងអស់ កើតមកមានសេរីភាព", "လူတိုင်းသည် တူညီ လွတ်လပ်သော", "འགྲོ་བ་མིའི་རིགས་རྒྱུད་ཡོངས་ལ་", "የሰው ልጅ ሁሉ ሲወለድ ነጻና እኩል ነው።", "ᎠᏂᎦᏓ ᎾᏂᎥᎢ ᎨᏥᏄᏛᎦᎶ",
    "ᠬᠦᠮᠦᠨ ᠪᠦᠷ ᠲᠥᠷᠥᠵᠦ", "모든 인간은 태어날 때부터 자유로우며 존엄하다.", "人人生而自由，在尊严和权利上一律平等。", "人人生而自由,在尊嚴和權利上一律平等。１２３",
    "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。", "ガギグゲゴ ﾊﾝｶｸ ｶﾞ ぱ", "𠮷野家で𩸽を食べる", "𝒜𝓁𝓁 𝓂𝒶𝓉𝒽 𝟙𝟚𝟛", "½ ⅓ Ⅻ ² ₃ ① ㊿",
]
CODE = [
    "func encode(_ text: String) -> [Int32] {\n    text.utf8.map { Int32($0) }\n}\n", "for (int i = 0; i < n; ++i) { sum += a[i]*b[i]; }",
    "def f(x, *args, **kw):\n\treturn {k: v for k, v in kw.items() if v is not None}\n\n\n", "<div class=\"a b\" id='c'>&nbsp;text</div>",
    "SELECT * FROM users WHERE id = 42 AND name LIKE '%o''brien%';", "git commit -m \"fix: don't crash\" && git push --force-with-lease",
    "{\"a\":[1,2.5e-3,null],\"b\":{\"c\":\"\\u00e9\\n\"}}", "https://example.org/path?q=1&r=%20#frag", "#include <stdio.h>\r\nint main(void){return 0;}\r\n",
    "x = 3.14159265358979 + 1_000_000 - 0xDEADBEEF\n", "| a | b |\n|---|---|\n| 1 | 2 |\n", "\\begin{align} e^{i\\pi}+1 &= 0 \\\\ \\end{align}",
    "if (a&&b||!c) {\n\n    return a?.b ?? c!;   // ok\n}   \n  \n", "fn main() -> Result<(), Box<dyn Error>> { Ok(()) }", "$ echo \"$HOME\" | sed 's/a/b/g' > /dev/null 2>&1",
]
EMOJI = [
    "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪🇫🇷", "1️⃣", "❤️", "🧑🏿‍🚀", "☃", "🤷🏻‍♀️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "😀😃😄", "e\u0301\u0323", "a\u0328\u0301\u0307", "\u1100\u1161\u11a8", "각\u11a8",
    "가\u11a7", "\u0344", "\u0f73", "\ufb2c", "\u212b", "\u2126", "\uf900", "\U0001d15e", "\u0958", "\u1e9b\u0323", "s\u0323\u0307", "\u0307\u0323", "q\u0307\u0323",
    "Z\u0351\u036b\u0343\u032a\u0342\u0302a\u0334\u0335\u031bl\u0321\u0329", "\u200d", "\ufeff", "\u00ad", "\u200b", "\u2060", "ﬁ ﬂ ß ſ K Å",
]
SPACES = [" ", "  ", "   ", "\n", "\r\n", "\t", "\n\n", "\u00a0", "\u3000", "\u2003", "\u2028", "\x85", "\x0b", "\x0c", "\x1c", "\u1680", "\u180e", " \n", "\n "]
BITS = [
    "'s", "'S", "'ſ", "'t", "'re", "'RE", "'Ve", "'ll", "'lL", "'d", "'m", "'", "''", "'x", "don't", "I'M", "’s", ".", ",", "!", "?!", "...", "-", "--", "(", ")", "\"",
    "1", "12", "123", "1234", "12345", "٣", "१२", "²", "a", "b", "A", "Ab", "hello", "world", "é", "e\u0301", "ñ", "ß", "中", "中文", "あ", "한", "д", "ж", "θ", "ا", "ן", "ก", "ก็", "क्ष",
    "\x00", "\x01", "\x7f", "\x80", "\ufffd", "\U0010ffff", "\ue000", "_", "@", "#", "=", "==", "/*", "*/", "\u0301", "\u0323", "\u20dd", "Ⅷ", "½",
]
# Letters, marks and numbers that one version of Unicode or another does not have yet.
NEW = [0x88F, 0xC5C, 0xCDC, 0xA7CE, 0xA7CD, 0x1C89, 0x105C0, 0x10D40, 0x11380, 0x16100, 0x16D40, 0x1E5D0, 0x2EBF0, 0x323B0, 0x33479, 0x11BC0, 0x16EA0, 0xC3C,
       0x1E4F0, 0x11F00, 0x31350, 0x870, 0x1DF00, 0x10570, 0x16D67, 0x16D68, 0x11382, 0x11384, 0x7FD, 0x9FE, 0xEBA, 0x1715, 0x1ABF, 0x1E6C0, 0x1CCF0, 0x2FFC]
BLOCKS = [
    (0x21, 0x7F), (0xA0, 0x250), (0x250, 0x300), (0x300, 0x370), (0x370, 0x400), (0x400, 0x530), (0x530, 0x590), (0x590, 0x600), (0x600, 0x700), (0x700, 0x750),
    (0x900, 0x980), (0x980, 0xA00), (0xA00, 0xA80), (0xA80, 0xB00), (0xB00, 0xB80), (0xB80, 0xC00), (0xC00, 0xC80), (0xC80, 0xD00), (0xD00, 0xD80), (0xD80, 0xE00),
    (0xE00, 0xE80), (0xE80, 0xF00), (0xF00, 0x1000), (0x1000, 0x10A0), (0x10A0, 0x1100), (0x1100, 0x1200), (0x1200, 0x1380), (0x13A0, 0x1400), (0x1780, 0x1800), (0x1800, 0x18B0),
    (0x1B00, 0x1B80), (0x1E00, 0x1F00), (0x1F00, 0x2000), (0x2000, 0x2070), (0x2070, 0x20D0), (0x20D0, 0x2100), (0x2100, 0x2200), (0x2200, 0x2C00), (0x2C00, 0x2E00), (0x3000, 0x3100),
    (0x3100, 0x3400), (0x4E00, 0x9FFF), (0xA640, 0xA700), (0xAC00, 0xD7A4), (0xF900, 0xFB00), (0xFB00, 0xFE00), (0xFE00, 0x10000), (0x10000, 0x11000), (0x11000, 0x12000), (0x1D000, 0x1D400),
    (0x1D400, 0x1D800), (0x1F000, 0x1FA00), (0x20000, 0x20100), (0x2F800, 0x2FA1E), (0xE0000, 0xE01F0),
]


def texts(added):
    """All texts; `added` are spellings of added tokens to strew in."""
    random.seed(20251125)
    result = ["", " ", "\n", "'", "a" * 63, "a" * 64, "a" * 65, "a" * 700, "ab" * 200, " " * 90, "\n" * 70 + "x", "1" * 70, "中文" * 50, "\u0301" * 40, "a" + "\u0301\u0323" * 30]
    result += SENTENCES + CODE + EMOJI
    result += [f"{mark}word word{mark} {mark} word" for mark in map(chr, range(0x21, 0x180))]
    result += [f"x{chr(code)}y {chr(code)}'{chr(code)} \r\n{chr(code)}1{chr(code)}" for code in NEW]
    for sentence in SENTENCES + CODE:
        result.append(sentence.replace(" ", random.choice(SPACES)))
        cut = random.randrange(len(sentence))
        result.append(sentence[cut:] + random.choice(SPACES) + random.choice(added) + sentence[:cut])
        result.append(f" {sentence.upper()} {random.choice(added)}{random.choice(added)} {sentence.title()}\n")
    bits = BITS + SPACES + EMOJI
    for _ in range(900):
        result.append("".join(random.choice(bits) for _ in range(random.randrange(1, 14))))
    for _ in range(500):
        result.append("".join(random.choice(BITS + SPACES + added + added) for _ in range(random.randrange(1, 12))))
    for _ in range(250):
        result.append("".join(random.choice(SPACES + ["a", "1", "."]) for _ in range(random.randrange(1, 12))))
    for first, last in BLOCKS:
        for _ in range(16):
            line = "".join(chr(random.randrange(first, last)) for _ in range(random.randrange(1, 14)))
            result.append(line[:5] + random.choice(SPACES + BITS) + line[5:])
    marks = [chr(code) for first, last in [(0x300, 0x34F), (0x591, 0x5BE), (0x64B, 0x656), (0x93C, 0x93D), (0xF71, 0xF76), (0x1DC0, 0x1DD0), (0x302A, 0x3030), (0x1D165, 0x1D16A)] for code in range(first, last)]
    bases = list("aeiouAEIOUcsnzÅéâǻởקששאייक़ॐが") + ["\u1100", "\uac00", "\u11a8", "\u0f71", "\u1025", "\u0cc6", "\u0dd9", "\U00011131", " ", "1"]
    for _ in range(400):
        result.append("".join(random.choice(bases) + "".join(random.choice(marks) for _ in range(random.randrange(4))) for _ in range(random.randrange(1, 6))))
    for _ in range(150):
        codes = (random.randrange(0x110000) for _ in range(random.randrange(1, 12)))
        result.append("".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000))
    return result
