//! The files of an export that say what is in it.

use std::collections::BTreeMap;

use archive::Entry;
use serde::Serialize;
use serde_json::json;

use super::ExportRecord;
use crate::Area;

/// The files that say what is in the zip: what there is of each area, and every file.
pub(super) fn about(
    record: &ExportRecord,
    entries: &[Entry],
) -> Result<Vec<(&'static str, Vec<u8>)>, aws::Error> {
    #[derive(Default, Serialize)]
    struct Sum {
        files: u64,
        octets: u64,
        records: u64,
    }
    let mut areas: BTreeMap<&str, Sum> =
        Area::ALL.into_iter().map(|area| (area.name(), Sum::default())).collect();
    let mut files = Vec::with_capacity(entries.len());
    for entry in entries {
        let sum = areas.entry(entry.name.split('/').next().unwrap_or_default()).or_default();
        sum.files += 1;
        sum.octets += entry.unpacked;
        sum.records += entry.records.unwrap_or(0);
        let mut file =
            json!({ "name": entry.name, "octets": entry.unpacked, "crc32": format!("{:08x}", entry.crc) });
        if let Some(records) = entry.records {
            file["records"] = records.into();
        }
        files.push(file);
    }
    let manifest = json!({
        "export": record.id, "user": record.user, "requested_at": record.requested_at,
        "workspaces": record.workspaces, "areas": areas, "files": files,
    });
    let manifest = serde_json::to_vec_pretty(&manifest).map_err(|e| aws::Error::Shape(e.to_string()))?;
    let mut readme = String::from(
        "Your data at Piecework.\n\nmanifest.json lists every file, with its size, its CRC-32 and, of lists, how many records it has.\n\
         Of workspaces that others belong to, only your membership is here: what is in them is not yours alone.\n",
    );
    for area in Area::ALL {
        let data = area.personal_data();
        readme.push_str(&format!(
            "\n{}/\n  What: {}\n  Here: {}\n  If you are erased: {}\n  Kept: {}\n",
            area.name(),
            data.what,
            data.exported,
            data.erased,
            data.kept
        ));
    }
    Ok(vec![("manifest.json", manifest), ("README.txt", readme.into_bytes())])
}

#[cfg(test)]
mod tests {
    use piecework_core::now;

    use super::*;

    #[test]
    fn the_manifest_sums_up_by_area() {
        let (mut zip, mut out) = (archive::Zip::new(now()), Vec::new());
        for (name, records) in [("account/keys.json", Some(2)), ("verification/w/t/results.csv", None)] {
            zip.begin(name, &mut out).unwrap();
            zip.write(b"1234", &mut out).unwrap();
            records.into_iter().for_each(|records| zip.records(records));
        }
        zip.begin("end", &mut out).unwrap();
        let files = about(&super::super::tests::record(None), zip.entries()).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&files[0].1).unwrap();
        assert_eq!(manifest["areas"]["account"], json!({ "files": 1, "octets": 4, "records": 2 }));
        assert_eq!(manifest["areas"]["billing"], json!({ "files": 0, "octets": 0, "records": 0 }));
        assert_eq!(manifest["files"][1]["name"], "verification/w/t/results.csv");
        assert!(String::from_utf8(files[1].1.clone()).unwrap().contains("verification/\n  What: Lists"));
    }
}
