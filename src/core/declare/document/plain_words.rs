//! Explains the YAML parser's errors in plain words, with what to do. Nothing of the parser's own texts is passed on, and
//! nothing of the file is quoted.

use granit_parser::ErrorKind as Kind;

/// What is wrong, and what to do.
pub(super) struct Words {
    pub(super) what: String,
    pub(super) hint: String,
}

const SEPARATE: &str = "separate entries with commas; put a text with : , { } [ or ] in it in quotes";
const QUOTE: &str = "put the value in quotes";
const SAME_COLUMN: &str = "start all keys of a mapping in the same column";
const ESCAPES: &str = "in double quotes write \\\\ for a backslash, or use single quotes";
const NO_TAGS: &str = "remove it; tags (!name) are not needed here";
const NO_DIRECTIVES: &str = "remove the line that begins with %";

/// The explanation of an error.
pub(super) fn of(kind: &Kind) -> Words {
    let (what, hint) = words(kind);
    Words { what: what.into(), hint: hint.into() }
}

fn words(kind: &Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::ExpectedBlockMappingKey | Kind::InvalidIndentation | Kind::ExpectedBlockSequenceEntry => {
            ("this line's indentation does not match the lines above", SAME_COLUMN)
        }
        Kind::MappingValueNotAllowed | Kind::MappingKeyNotAllowed | Kind::InvalidColonPlacement => (
            "a key is not allowed here",
            "either the line above already has a value, or a text with \": \" in it needs quotes",
        ),
        Kind::SimpleKeyExpected | Kind::InvalidSimpleKey => {
            ("a key without a colon, or one that is too long", "write key: value on one line")
        }
        Kind::TabNotAllowed | Kind::TabInBlockIndentation | Kind::TabInIndentation | Kind::TabAtBlockScalarStart => {
            ("a tab is used for indentation", "replace the tab with two spaces")
        }
        Kind::TabInPlainScalar => ("a tab inside a value", "replace it with spaces, or put the value in quotes"),
        Kind::ExpectedFlowMappingSeparator
        | Kind::UnexpectedEofFlowMapping
        | Kind::UnexpectedEofImplicitFlowMapping => ("a comma or } is missing before this", SEPARATE),
        Kind::ExpectedFlowSequenceSeparator | Kind::UnexpectedEofFlowSequence => {
            ("a comma or ] is missing before this", SEPARATE)
        }
        Kind::UnclosedFlowCollection { .. } => ("this bracket is never closed", "close it, with } for { and ] for ["),
        Kind::MismatchedFlowCollectionEnd { .. } | Kind::MisplacedFlowCollectionEnd => {
            ("this bracket does not belong here", "close each bracket with its own kind: } for { and ] for [")
        }
        Kind::UnclosedQuotedScalar | Kind::DocumentIndicatorInQuotedScalar => {
            ("this quote is never closed", "close it with the same kind of quote")
        }
        Kind::InvalidTrailingSingleQuotedScalar | Kind::InvalidTrailingDoubleQuotedScalar => (
            "there is text after the closing quote",
            "put all of the value in quotes; in single quotes write '' for a quote, in double quotes \\\"",
        ),
        Kind::UnknownAnchor => (
            "a value that starts with * refers to an anchor, but there is no such anchor",
            "put the value in quotes if it is a text",
        ),
        Kind::MissingAnchorOrAliasName => ("a name is missing after & or *", "put the value in quotes if it is a text"),
        Kind::UnexpectedCharacter { .. }
        | Kind::PlainScalarStartsWithDashFlowIndicator
        | Kind::UnexpectedEndOfPlainScalar => ("a value cannot start with this character", QUOTE),
        Kind::ExpectedNodeContent => ("a value is missing here", "write a value, or remove the key"),
        Kind::BlockEntryInFlowCollection | Kind::BlockSequenceEntryNotAllowed | Kind::InvalidBlockEntryWhitespace => {
            ("a hyphen does not begin a list here", "start a list on a line of its own, or put the text in quotes")
        }
        Kind::RecursionLimitExceeded => ("the document is nested too deep", "use at most 32 levels"),
        Kind::CommentNotSeparated | Kind::CommentInterceptedScalar => {
            ("a comment in the middle of a value", "put a space before # to begin a comment, or the value in quotes")
        }
        Kind::BomInsideDocument => (
            "an invisible character (a byte-order mark) stands inside the file",
            "remove it; editors and scripts leave it when files are joined",
        ),
        Kind::UnknownQuotedScalarEscape
        | Kind::InvalidQuotedScalarHexEscape
        | Kind::InvalidLowSurrogateHexEscape
        | Kind::InvalidLowSurrogate
        | Kind::MissingLowSurrogate
        | Kind::UnpairedLowSurrogate
        | Kind::InvalidUnicodeEscape => ("a backslash in double quotes is followed by something it cannot be", ESCAPES),
        Kind::ZeroBlockScalarIndent | Kind::InvalidBlockScalarHeader | Kind::InvalidBlockScalarIndent => (
            "the lines of this text are not indented alike",
            "indent every line of the text by two spaces more than its key",
        ),
        Kind::InvalidQuotedScalarIndent | Kind::InvalidFlowScalarIndent => {
            ("a value that goes on here must be indented", "indent it further than its key")
        }
        Kind::FlowMappingValueAdjacentCollection | Kind::InvalidMappingValueWhitespace | Kind::ExpectedWhitespace => {
            ("a space is missing here", "write a space after : and after -")
        }
        Kind::DuplicateVersionDirective
        | Kind::UnsupportedYamlMajorVersion
        | Kind::DuplicateTagDirective
        | Kind::ExpectedDocumentStart
        | Kind::MissingDocumentEndBeforeDirective
        | Kind::InvalidDirectiveTerminator
        | Kind::DirectiveDisallowed
        | Kind::MissingYamlVersionSeparator
        | Kind::MissingDirectiveName
        | Kind::InvalidDirectiveName
        | Kind::DirectiveByteLimitExceeded { .. }
        | Kind::TooManyReservedDirectiveParams { .. }
        | Kind::YamlVersionTooLong
        | Kind::MissingYamlVersion
        | Kind::ExpectedTagDirectiveBang
        | Kind::InvalidTagDirectiveTerminator => ("a YAML directive is not in order here", NO_DIRECTIVES),
        Kind::InvalidDocumentEnd => ("there is text after the line ...", "write documents between lines ---"),
        Kind::UndeclaredTagHandle
        | Kind::ExpectedTagBang
        | Kind::InvalidGlobalTagCharacter
        | Kind::InvalidTagTerminator
        | Kind::MissingTagUri
        | Kind::UnclosedVerbatimTag
        | Kind::InvalidTagEscape => ("a tag that means nothing", NO_TAGS),
        Kind::UnexpectedEof | Kind::UnexpectedEofBlockMapping | Kind::UnexpectedEofBlockSequence => {
            ("the file ends in the middle of a value", "see whether it was written completely")
        }
        _ => ("this is not valid YAML", "compare it with a manifest that works, or put the value in quotes"),
    }
}
