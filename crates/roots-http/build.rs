//! Makes the files of `/docs` at build time: what a browser needs of Swagger UI, each file
//! compressed and under a name that holds its hash, and the page that refers to them by those
//! names.
//!
//! `OUT_DIR/pages.rs` declares them for `src/meta/pages.rs`.

use std::fmt::Write as _;
use std::io::{Cursor, Read, Write as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Fallible<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=assets");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut vendored = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    let mut styles = dist_file(&mut vendored, "swagger-ui.css")?;
    // Its source map is not served.
    if let Some(comment) = styles.find("/*# sourceMappingURL=") {
        styles.truncate(comment);
    }
    styles += &dist_file(&mut vendored, "index.css")?;
    let bundle = dist_file(&mut vendored, "swagger-ui-bundle.js")?;
    let start = fs::read_to_string("assets/start.js")?;

    let mut page = fs::read_to_string("assets/index.html")?;
    let mut declared = String::from("const FILES: &[StaticFile] = &[\n");
    for (name, content) in
        [("swagger-ui.css", styles), ("swagger-ui-bundle.js", bundle), ("start.js", start)]
    {
        let hash = hash(content.as_bytes());
        let (stem, extension) = name.rsplit_once('.').ok_or("a name without an extension")?;
        let served = format!("{stem}.{hash}.{extension}");
        declare(&mut declared, &out, &served, extension, &hash, content.as_bytes())?;
        page = page.replace(&format!("{{{name}}}"), &served);
    }
    declared += "];\nconst PAGE: StaticFile = ";
    let hash = hash(page.as_bytes());
    declare(&mut declared, &out, "index.html", "html", &hash, page.as_bytes())?;
    let declared = declared.trim_end().trim_end_matches(',').to_owned() + ";\n";
    fs::write(out.join("pages.rs"), declared)?;
    Ok(())
}

fn dist_file(vendored: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Fallible<String> {
    let wanted = format!("dist/{name}");
    let is_wanted = |at: &usize| {
        let path = vendored.name_for_index(*at).and_then(Result::ok).unwrap_or_default();
        path.split_once('/').is_some_and(|(_, path)| path == wanted)
    };
    let at = (0..vendored.len()).find(is_wanted);
    let at = at.ok_or_else(|| format!("Swagger UI has no {wanted}"))?;
    let mut content = String::new();
    vendored.by_index(at)?.read_to_string(&mut content)?;
    Ok(content)
}

/// The first 64 bits of the SHA-256, in hexadecimal.
fn hash(content: &[u8]) -> String {
    let mut text = String::new();
    for byte in &Sha256::digest(content)[..8] {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Writes a file, plain and compressed, and declares it.
fn declare(
    declared: &mut String,
    out: &Path,
    name: &str,
    extension: &str,
    hash: &str,
    content: &[u8],
) -> Fallible<()> {
    let media_type = match extension {
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        other => return Err(format!("no media type for .{other}").into()),
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    fs::write(out.join(name), content)?;
    fs::write(out.join(format!("{name}.gz")), encoder.finish()?)?;
    writeln!(
        declared,
        "StaticFile {{ name: {name:?}, media_type: {media_type:?}, hash: {hash:?}, \
         plain: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}\")), \
         gzip: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.gz\")) }},"
    )?;
    Ok(())
}
