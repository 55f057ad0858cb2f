//! The byte-level alphabet of GPT-2: every byte has a printable character.
//!
//! Source: `bytes_to_unicode` of <https://github.com/openai/gpt-2/blob/master/src/encoder.py>.

/// Characters from U+0100 on stand for the bytes that have no printable character of their own.
const SHIFTED_FROM: u32 = 0x100;

const fn prints_as_itself(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

const TO_CHAR: [char; 256] = {
    let mut table = ['\0'; 256];
    let (mut byte, mut shifted) = (0, 0);
    while byte < 256 {
        let code = if prints_as_itself(byte as u8) {
            byte as u32
        } else {
            shifted += 1;
            SHIFTED_FROM + shifted - 1
        };
        table[byte] = match char::from_u32(code) {
            Some(c) => c,
            None => unreachable!(),
        };
        byte += 1;
    }
    table
};

/// Bytes of U+0100 and after, in order.
const SHIFTED: [u8; 68] = {
    let mut table = [0; 68];
    let (mut byte, mut at) = (0, 0);
    while byte < 256 {
        if !prints_as_itself(byte as u8) {
            table[at] = byte as u8;
            at += 1;
        }
        byte += 1;
    }
    table
};

/// The character that stands for a byte.
pub(super) fn to_char(byte: u8) -> char {
    TO_CHAR[byte as usize]
}

/// The byte that a character stands for, if it is of the alphabet.
pub(super) fn to_byte(c: char) -> Option<u8> {
    let code = u32::from(c);
    match u8::try_from(code) {
        Ok(byte) => prints_as_itself(byte).then_some(byte),
        Err(_) => SHIFTED.get((code - SHIFTED_FROM) as usize).copied(),
    }
}

/// `<0x0A>` as a byte, in either case of the digits.
pub(super) fn parse_byte_token(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit())).then_some(())?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_character_and_comes_back() {
        for byte in 0..=255 {
            assert_eq!(to_byte(to_char(byte)), Some(byte));
        }
        assert_eq!((to_char(b' '), to_char(b'\n'), to_char(0xAD)), ('Ġ', 'Ċ', 'Ń'));
        assert_eq!((to_byte(' '), to_byte('▁'), to_byte('\u{144}')), (None, None, None));
    }

    #[test]
    fn byte_tokens_are_read_in_either_case_and_nothing_else_is() {
        assert_eq!(parse_byte_token("<0x0A>"), Some(10));
        assert_eq!(parse_byte_token("<0xfe>"), Some(254));
        for other in ["<0x+1>", "<0xA>", "<0x123>", "0x0A", "<0x€>", ""] {
            assert_eq!(parse_byte_token(other), None, "{other}");
        }
    }
}
