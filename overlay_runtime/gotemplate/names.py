"""The functions that a template may name: Go's own and sprig's (v3.3, `TxtFuncMap`)."""

from __future__ import annotations

SUBJECTS: dict[str, tuple[str, ...]] = {
    subject: tuple(names.split())
    for subject, names in {
        "builtin": """and call eq ge gt html index js le len lt ne not or print printf println
            urlquery""",
        "cases": "camelcase kebabcase lower snakecase swapcase title untitle upper",
        "dates": """ago date dateInZone dateModify date_in_zone date_modify duration durationRound
            htmlDate htmlDateInZone mustDateModify mustToDate must_date_modify now toDate
            unixEpoch""",
        "defaults": """all any coalesce default empty fail hello ternary""",
        "dicts": """deepCopy dict dig get hasKey keys merge mergeOverwrite mustDeepCopy mustMerge
            mustMergeOverwrite omit pick pluck set unset values""",
        "encodings": """adler32sum b32dec b32enc b64dec b64enc sha1sum sha256sum sha512sum""",
        "jsons": """fromJson mustFromJson mustToJson mustToPrettyJson mustToRawJson toJson
            toPrettyJson toRawJson""",
        "kinds": "deepEqual kindIs kindOf typeIs typeIsLike typeOf",
        "lists": """append chunk compact concat first has initial join last list mustAppend
            mustChunk mustCompact mustFirst mustHas mustInitial mustLast mustPrepend mustPush
            mustRest mustReverse mustSlice mustUniq mustWithout prepend push rest reverse slice
            sortAlpha toStrings tuple uniq without""",
        "numbers": """add add1 add1f addf atoi biggest ceil div divf float64 floor int int64 max
            maxf min minf mod mul mulf round seq sub subf toDecimal until untilStep""",
        "randoms": """randAlpha randAlphaNum randAscii randBytes randInt randNumeric shuffle
            uuidv4""",
        "regexes": """mustRegexFind mustRegexFindAll mustRegexMatch mustRegexReplaceAll
            mustRegexReplaceAllLiteral mustRegexSplit regexFind regexFindAll regexMatch
            regexQuoteMeta regexReplaceAll regexReplaceAllLiteral regexSplit""",
        "strings": """abbrev abbrevboth cat contains hasPrefix hasSuffix indent initials nindent
            nospace plural quote repeat replace split splitList splitn squote substr toString trim
            trimAll trimPrefix trimSuffix trimall trunc wrap wrapWith""",
        "systems": """base clean dir env expandenv ext getHostByName isAbs osBase osClean osDir
            osExt osIsAbs""",
        "urls": "urlJoin urlParse",
        "versions": "semver semverCompare",
    }.items()
}
"""Names by the module of `functions` that has them."""

UNAVAILABLE = frozenset(
    """
bcrypt buildCustomCert decryptAES derivePassword encryptAES genCA genCAWithKey genPrivateKey
genSelfSignedCert genSelfSignedCertWithKey genSignedCert genSignedCertWithKey htpasswd
""".split()
)
"""What needs a library of cryptography: Kairos has it, Debian hosts don't."""

ALL = UNAVAILABLE.union(*SUBJECTS.values())
