//! Documents that are made for a test, and the programs of others that open them.

use std::io::{Cursor, Read as _, Write as _};
use std::path::Path;
use std::process::Command;

use lopdf::content::{Content, Operation};
use lopdf::{Document, Object, Stream, dictionary};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

fn container(parts: &[(&str, String)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in parts {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

const TYPES: &str = "http://schemas.openxmlformats.org/package/2006/content-types";
const RELATIONS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

fn package(main: &str, kind: &str, more: Vec<(&'static str, String)>) -> Vec<u8> {
    let types = format!(
        "<?xml version=\"1.0\"?><Types xmlns=\"{TYPES}\"><Default Extension=\"rels\" \
         ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/><Default Extension=\"xml\" \
         ContentType=\"application/xml\"/><Override PartName=\"/{main}\" ContentType=\"{kind}\"/></Types>"
    );
    let rels = format!(
        "<?xml version=\"1.0\"?><Relationships xmlns=\"{RELATIONS}\"><Relationship Id=\"r1\" \
         Type=\"{OFFICE}/officeDocument\" Target=\"{main}\"/></Relationships>"
    );
    let mut parts = vec![("[Content_Types].xml", types), ("_rels/.rels", rels)];
    parts.extend(more);
    container(&parts)
}

/// The value is split over three runs, as an editor that checks spelling leaves it.
fn docx(value: &str) -> Vec<u8> {
    let (a, rest) = value.split_at(5);
    let (b, c) = rest.split_at(6);
    let body = format!(
        "<?xml version=\"1.0\"?><w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\">\
         <w:body><w:p><w:r><w:t xml:space=\"preserve\">before, card {a}</w:t></w:r><w:r><w:rPr><w:b/></w:rPr>\
         <w:t xml:space=\"preserve\">{b}</w:t></w:r><w:r><w:t>{c} after</w:t></w:r></w:p></w:body></w:document>"
    );
    let kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml";
    package("word/document.xml", kind, vec![("word/document.xml", body)])
}

/// The value is a shared string, and a number in a cell of its own.
fn xlsx(value: &str) -> Vec<u8> {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    let book = format!(
        "<?xml version=\"1.0\"?><workbook xmlns=\"{main}\" xmlns:r=\"{OFFICE}\"><sheets>\
         <sheet name=\"S\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
    );
    let rels = format!(
        "<?xml version=\"1.0\"?><Relationships xmlns=\"{RELATIONS}\"><Relationship Id=\"r1\" \
         Type=\"{OFFICE}/worksheet\" Target=\"worksheets/sheet1.xml\"/><Relationship Id=\"r2\" \
         Type=\"{OFFICE}/sharedStrings\" Target=\"sharedStrings.xml\"/></Relationships>"
    );
    let strings = format!(
        "<?xml version=\"1.0\"?><sst xmlns=\"{main}\"><si><t>before</t></si><si><t>card</t></si>\
         <si><t>{value}</t></si></sst>"
    );
    let sheet = format!(
        "<?xml version=\"1.0\"?><worksheet xmlns=\"{main}\"><sheetData><row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c>\
         <c r=\"B1\" t=\"s\"><v>1</v></c></row><row r=\"2\"><c r=\"A2\" t=\"s\"><v>0</v></c><c r=\"B2\" t=\"s\"><v>2</v>\
         </c></row><row r=\"3\"><c r=\"B3\"><v>{digits}</v></c></row></sheetData></worksheet>"
    );
    let kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml";
    package(
        "xl/workbook.xml",
        kind,
        vec![
            ("xl/workbook.xml", book),
            ("xl/_rels/workbook.xml.rels", rels),
            ("xl/sharedStrings.xml", strings),
            ("xl/worksheets/sheet1.xml", sheet),
        ],
    )
}

fn pdf(value: &str) -> Vec<u8> {
    let mut document = Document::with_version("1.5");
    let font = document.add_object(dictionary! {
        "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica",
        "Encoding" => "WinAnsiEncoding",
    });
    let pages = document.new_object_id();
    let show = |text: &str| Operation::new("Tj", vec![Object::string_literal(text)]);
    let content = Content {
        operations: vec![
            Operation::new("BT", vec![]),
            Operation::new("Tf", vec!["F1".into(), 12.into()]),
            Operation::new("Td", vec![50.into(), 700.into()]),
            show("before the card"),
            Operation::new("Td", vec![0.into(), (-20).into()]),
            show(&format!("card {value}")),
            Operation::new("ET", vec![]),
        ],
    };
    let mut stream = Stream::new(dictionary! {}, content.encode().unwrap());
    stream.compress().unwrap();
    let content = document.add_object(stream);
    let page = document.add_object(dictionary! {
        "Type" => "Page", "Parent" => pages, "Contents" => content,
        "MediaBox" => vec![0.into(), 0.into(), 595.into(), 842.into()],
        "Resources" => dictionary! { "Font" => dictionary! { "F1" => font } },
    });
    document.objects.insert(
        pages,
        Object::Dictionary(dictionary! {
            "Type" => "Pages", "Kids" => vec![page.into()], "Count" => 1,
        }),
    );
    let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => pages });
    let info = document.add_object(dictionary! {
        "Title" => Object::string_literal(format!("statement of card {value}")),
    });
    document.trailer.set("Root", catalog);
    document.trailer.set("Info", info);
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

/// One of each form, with the value in it.
pub(crate) fn all(value: &str) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("a.txt", format!("before: card {value}\n").into_bytes()),
        ("a.csv", format!("note,card\nbefore,{value}\n").into_bytes()),
        (
            "a.json",
            format!("{{\"note\":\"before\",\"card\":\"{value}\"}}").into_bytes(),
        ),
        (
            "a.xml",
            format!("<?xml version=\"1.0\"?><a note=\"before\"><card>{value}</card></a>")
                .into_bytes(),
        ),
        ("a.docx", docx(value)),
        ("a.xlsx", xlsx(value)),
        ("a.pdf", pdf(value)),
    ]
}

/// What a program answers, or `None` where it is not installed.
fn ask(program: &str, args: &[&str]) -> Option<(bool, String)> {
    let done = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    Some((done.status.success(), text))
}

/// Whether other programs open it; those that are not installed are left out.
pub(crate) fn opens(file: &Path) -> bool {
    let path = file.to_str().unwrap();
    let checks: &[(&str, &[&str])] = match file.extension().unwrap().to_str().unwrap() {
        "pdf" => &[("qpdf", &["--check", path]), ("pdfinfo", &[path])],
        "docx" | "xlsx" => &[("python3", &["-m", "zipfile", "-t", path])],
        "json" => &[("python3", &["-m", "json.tool", path])],
        _ => &[],
    };
    checks
        .iter()
        .all(|(program, args)| ask(program, args).is_none_or(|(good, _)| good))
}

/// Its text as somebody else reads it: of a PDF as `pdftotext` does, where that is installed, of containers all
/// parts.
pub(crate) fn text(file: &Path) -> String {
    let bytes = std::fs::read(file).unwrap();
    match file.extension().unwrap().to_str().unwrap() {
        "pdf" => match ask("pdftotext", &[file.to_str().unwrap(), "-"]) {
            Some((good, text)) => {
                assert!(good, "pdftotext: {text}");
                text
            }
            None => Document::load_mem(&bytes)
                .unwrap()
                .extract_text(&[1])
                .unwrap(),
        },
        "docx" | "xlsx" => {
            let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
            let mut all = String::new();
            for i in 0..archive.len() {
                let mut part = String::new();
                archive
                    .by_index(i)
                    .unwrap()
                    .read_to_string(&mut part)
                    .unwrap();
                all.push_str(&part);
            }
            all
        }
        _ => String::from_utf8(bytes).unwrap(),
    }
}
