//! API keys, browser keys and recovery codes: how they are written and read, and the keys derived
//! from them.

use data_encoding::BASE32_NOPAD;
use roots_domain::model::api_key::LookupHash;
use roots_domain::model::id::AccountId;
use roots_domain::port::crypto::{CryptoError, Lookup, LookupKind};
use secrecy::{ExposeSecret, ExposeSecretMut, SecretSlice, SecretString};
use zeroize::Zeroizing;

use crate::seal::{Entropy, Key, expand, extract};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `roots_<account>_`, 43 base62 characters of the secret, and 6 of a CRC-32.
    ApiKey,
    /// `roots-browser_<account>_`, and the rest as of an API key. No API key begins like this.
    BrowserKey,
    /// Account, secret and CRC-32 in Crockford's base32, in groups of five characters.
    RecoveryCode,
}

impl Form {
    const fn secret_bytes(self) -> usize {
        match self {
            Self::ApiKey | Self::BrowserKey => 32,
            Self::RecoveryCode => 20,
        }
    }

    /// The key that opens the wraps of a token of this form.
    pub(crate) fn wrapping_key(
        self,
        account: AccountId,
        secret: &SecretSlice<u8>,
    ) -> Result<Key, CryptoError> {
        let label = match self {
            Self::ApiKey => "roots/1/api-key/wrap",
            Self::BrowserKey => "roots/1/browser-key/wrap",
            Self::RecoveryCode => "roots/1/recovery-code/wrap",
        };
        self.derived(label, account, secret)
    }

    fn derived(
        self,
        label: &'static str,
        account: AccountId,
        secret: &SecretSlice<u8>,
    ) -> Result<Key, CryptoError> {
        let prk = extract(
            match self {
                Self::ApiKey => "roots/1/api-key",
                Self::BrowserKey => "roots/1/browser-key",
                Self::RecoveryCode => "roots/1/recovery-code",
            },
            secret.expose_secret(),
        );
        expand(&prk, label, &[&account.0.to_be_bytes()])
    }
}

/// An API key, a browser key or a recovery code.
#[derive(Debug)]
pub(crate) struct Token {
    form: Form,
    account: AccountId,
    secret: SecretSlice<u8>,
}

impl Token {
    /// A new token with a random secret.
    pub(crate) fn draw(
        form: Form,
        account: AccountId,
        entropy: &dyn Entropy,
    ) -> Result<Self, CryptoError> {
        let mut secret = SecretSlice::from(vec![0; form.secret_bytes()]);
        entropy.fill(secret.expose_secret_mut())?;
        Ok(Self { form, account, secret })
    }

    /// Reads a presented token. Returns nothing if its form or its checksum is wrong.
    pub(crate) fn read(form: Form, presented: &SecretString) -> Option<Self> {
        let presented = presented.expose_secret();
        let (account, secret) = match form {
            Form::ApiKey => read_key(API_KEY, presented)?,
            Form::BrowserKey => read_key(BROWSER_KEY, presented)?,
            Form::RecoveryCode => read_recovery_code(presented)?,
        };
        Some(Self { form, account, secret })
    }

    /// The text of the token, which is shown only once.
    pub(crate) fn written(&self) -> SecretString {
        let mut text = Zeroizing::new(String::with_capacity(LONGEST));
        match self.form {
            Form::ApiKey => {
                write_key(API_KEY, self.account, self.secret.expose_secret(), &mut text);
            }
            Form::BrowserKey => {
                write_key(BROWSER_KEY, self.account, self.secret.expose_secret(), &mut text);
            }
            Form::RecoveryCode => {
                write_recovery_code(self.account, self.secret.expose_secret(), &mut text);
            }
        }
        SecretString::from(text.as_str())
    }

    /// The account, and the hash to find the token in the database. It opens nothing.
    pub(crate) fn lookup(&self) -> Result<Lookup, CryptoError> {
        let (kind, label) = match self.form {
            Form::ApiKey => (LookupKind::ApiKey, "roots/1/api-key/lookup"),
            Form::BrowserKey => (LookupKind::BrowserKey, "roots/1/browser-key/lookup"),
            Form::RecoveryCode => (LookupKind::RecoveryCode, "roots/1/recovery-code/lookup"),
        };
        let derived = self.form.derived(label, self.account, &self.secret)?;
        let hash = LookupHash(*derived.expose_secret());
        Ok(Lookup { account: self.account, hash, kind })
    }

    /// The key that opens the wraps of this token.
    pub(crate) fn wrapping_key(&self) -> Result<Key, CryptoError> {
        self.form.wrapping_key(self.account, &self.secret)
    }

    /// The secret bytes, all that is left of the token.
    pub(crate) fn into_secret(self) -> SecretSlice<u8> {
        self.secret
    }
}

/// Longer than any token. A longer text is refused without reading it.
const LONGEST: usize = 128;

// API keys and browser keys.

const API_KEY: &str = "roots_";
const BROWSER_KEY: &str = "roots-browser_";
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SECRET_DIGITS: usize = 43;
const CHECK_DIGITS: usize = 6;
const PREFIX_SECRET_DIGITS: usize = 6;

/// The first characters of a key, by which people recognize it. Empty if the text is no key.
pub(crate) fn key_prefix(written: &SecretString) -> String {
    let text = written.expose_secret();
    let shown = text.rfind('_').map_or(0, |last| last + 1 + PREFIX_SECRET_DIGITS);
    text.get(..shown).unwrap_or_default().to_owned()
}

fn write_key(prefix: &str, account: AccountId, secret: &[u8], text: &mut String) {
    text.push_str(prefix);
    text.push_str(&account.to_string());
    text.push('_');
    push_base62(secret, SECRET_DIGITS, text);
    let check = crc32fast::hash(text.as_bytes());
    push_base62(&check.to_be_bytes(), CHECK_DIGITS, text);
}

fn read_key(prefix: &str, text: &str) -> Option<(AccountId, SecretSlice<u8>)> {
    if text.len() > LONGEST {
        return None;
    }
    let (account, digits) = text.strip_prefix(prefix)?.split_once('_')?;
    let account = AccountId::parse(account)?;
    if digits.len() != SECRET_DIGITS + CHECK_DIGITS {
        return None;
    }
    let (checked, check) = text.split_at_checked(text.len() - CHECK_DIGITS)?;
    let mut expected = [0; 4];
    read_base62(check, &mut expected)?;
    if crc32fast::hash(checked.as_bytes()).to_be_bytes() != expected {
        return None;
    }
    let mut secret = SecretSlice::from(vec![0; Form::ApiKey.secret_bytes()]);
    read_base62(digits.get(..SECRET_DIGITS)?, secret.expose_secret_mut())?;
    Some((account, secret))
}

/// Appends the big-endian number `bytes` with `digits` digits, which must be enough.
fn push_base62(bytes: &[u8], digits: usize, text: &mut String) {
    let mut number = Zeroizing::new(bytes.to_vec());
    let mut written = Zeroizing::new(vec![0; digits]);
    for digit in written.iter_mut().rev() {
        let mut remainder = 0_u16;
        for byte in number.iter_mut() {
            let dividend = remainder << 8 | u16::from(*byte);
            // The quotient is below 256, because the previous remainder was below 62.
            *byte = (dividend / 62).to_be_bytes()[1];
            remainder = dividend % 62;
        }
        *digit = BASE62[usize::from(remainder)];
    }
    text.extend(written.iter().copied().map(char::from));
}

/// Digits that are read together: the most for which a scaled byte fits in 64 bits.
const DIGITS_AT_ONCE: usize = 9;

/// Reads digits into the big-endian number `into`. Returns `None` if a character is no digit or the
/// number does not fit.
fn read_base62(digits: &str, into: &mut [u8]) -> Option<()> {
    for digits in digits.as_bytes().chunks(DIGITS_AT_ONCE) {
        let (mut scale, mut carry) = (1, 0);
        for digit in digits {
            scale *= 62;
            carry = carry * 62
                + u64::from(match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'A'..=b'Z' => digit - b'A' + 10,
                    b'a'..=b'z' => digit - b'a' + 36,
                    _ => return None,
                });
        }
        for byte in into.iter_mut().rev() {
            let scaled = u64::from(*byte) * scale + carry;
            *byte = scaled.to_be_bytes()[7];
            carry = scaled >> 8;
        }
        if carry != 0 {
            return None;
        }
    }
    Some(())
}

// Recovery codes.

/// Crockford's alphabet, without I, L, O and U.
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// The library's alphabet (RFC 4648). Symbols at the same position have the same value.
const RFC_4648: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const GROUP: usize = 5;
const CHECK_BYTES: usize = 4;
/// An account's id of eight bytes, the secret, the checksum.
const CODE_BYTES: usize = 8 + 20 + CHECK_BYTES;
const CODE_SYMBOLS: usize = CODE_BYTES.div_ceil(5) * 8;

fn write_recovery_code(account: AccountId, secret: &[u8], text: &mut String) {
    let mut bytes = Zeroizing::new(Vec::with_capacity(CODE_BYTES));
    bytes.extend(account.0.to_be_bytes().into_iter().skip_while(|&byte| byte == 0));
    bytes.extend_from_slice(secret);
    let check = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&check.to_be_bytes());
    let mut symbols = Zeroizing::new([0; CODE_SYMBOLS]);
    let symbols = &mut symbols[..BASE32_NOPAD.encode_len(bytes.len())];
    BASE32_NOPAD.encode_mut(&bytes, symbols);
    for (at, symbol) in symbols.iter().enumerate() {
        if at > 0 && at % GROUP == 0 {
            text.push('-');
        }
        text.push(char::from(transliterated(*symbol, RFC_4648, CROCKFORD).unwrap_or_default()));
    }
}

fn read_recovery_code(text: &str) -> Option<(AccountId, SecretSlice<u8>)> {
    if text.len() > LONGEST {
        return None;
    }
    let mut symbols = Zeroizing::new([0; CODE_SYMBOLS]);
    let mut count = 0;
    for character in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        let symbol = match character.to_ascii_uppercase() {
            'O' => b'0',
            'I' | 'L' => b'1',
            plain => u8::try_from(plain).ok()?,
        };
        *symbols.get_mut(count)? = transliterated(symbol, CROCKFORD, RFC_4648)?;
        count += 1;
    }
    let mut bytes = Zeroizing::new([0; CODE_SYMBOLS]);
    // Fails for lengths that are no whole number of bytes, and for unused bits that are not zero.
    let length = BASE32_NOPAD.decode_len(count).ok()?;
    BASE32_NOPAD.decode_mut(&symbols[..count], &mut bytes[..length]).ok()?;
    let (checked, check) = bytes[..length].split_last_chunk::<CHECK_BYTES>()?;
    if crc32fast::hash(checked).to_be_bytes() != *check {
        return None;
    }
    let account_bytes = checked.len().checked_sub(Form::RecoveryCode.secret_bytes())?;
    let (account, secret) = checked.split_at(account_bytes);
    // Without leading zeros, each account has exactly one form.
    if account.first().is_none_or(|&byte| byte == 0) {
        return None;
    }
    let mut id = [0; 8];
    id.get_mut(8_usize.checked_sub(account_bytes)?..)?.copy_from_slice(account);
    let id = i64::from_be_bytes(id);
    (id > 0).then(|| (AccountId(id), SecretSlice::from(secret.to_vec())))
}

fn transliterated(symbol: u8, from: &[u8; 32], to: &[u8; 32]) -> Option<u8> {
    let at = from.iter().position(|&known| known == symbol)?;
    Some(to[at])
}
