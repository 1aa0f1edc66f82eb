#![allow(clippy::unwrap_used)]

use cedar_policy::{PolicySet, ValidationMode, Validator};
use proptest::prelude::*;
use sealwright_core::{TenantId, TenantScope, UnixMicros};

use super::matrix::COLUMNS;
use super::{Matrix, Policies, Reach, RoleSet, Target, Who, engine};
use crate::principal::{Principal, PrincipalKind};
use crate::role::{Action, Role, Scopes};

fn own(text: &str) -> Result<Policies, String> {
    Policies::from_texts([("own.cedar", text.as_bytes())]).map_err(|error| error.to_string())
}

#[test]
fn what_is_built_in_is_strictly_valid() {
    let validator = Validator::new(engine::schema().unwrap());
    for (file, text) in engine::BUILT_IN {
        let set: PolicySet = text.parse().unwrap();
        let result = validator.validate(&set, ValidationMode::Strict);
        let found: Vec<_> = result
            .validation_errors()
            .map(ToString::to_string)
            .collect();
        assert!(found.is_empty(), "{file}: {found:?}");
        let found: Vec<_> = result
            .validation_warnings()
            .map(ToString::to_string)
            .collect();
        assert!(found.is_empty(), "{file}: {found:?}");
    }
}

#[test]
fn the_schema_knows_every_action_and_role() {
    let schema = engine::schema().unwrap();
    let known: Vec<String> = schema
        .actions()
        .map(|uid| uid.id().unescaped().to_owned())
        .collect();
    for action in Action::ALL {
        assert!(known.iter().any(|name| name == action.as_str()), "{action}");
    }
    // And the three groups, which are no actions that could be asked for.
    assert_eq!(known.len(), Action::ALL.len() + 3);
    for role in Role::ALL {
        let text = format!("@id(\"x\") forbid(principal in Role::\"{role}\", action, resource);");
        own(&text).unwrap();
    }
}

fn printed(policies: &Policies) -> String {
    let matrix = Matrix::of(policies);
    let mut out = String::new();
    for reach in Reach::ALL {
        out.push_str(&format!("{:<17}", reach.as_str()));
        for column in COLUMNS {
            out.push_str(&format!("{column:<9}"));
        }
        for row in matrix.rows.iter().filter(|row| row.reach == reach) {
            out.push_str(&format!("\n{:<17}", row.action.as_str()));
            for cell in row.cells {
                out.push_str(&format!("{:<8} ", matrix.cell(cell)));
            }
        }
        out.push_str("\n\n");
    }
    let lines: Vec<_> = out.lines().map(str::trim_end).collect();
    lines.join("\n")
}

#[test]
fn the_matrix_is_what_was_decided() {
    insta::assert_snapshot!(printed(&Policies::built_in()));
}

/// The table that stood in the code before there were policies: these say the same.
const BEFORE: &str = "\
events:write     yes      yes      yes      -        -
billing:read     yes      yes      yes      yes      yes
billing:write    yes      yes      yes      -        -
lake:read        yes      yes      yes      yes      -
lake:erase       yes      yes      -        -        -
ledger:read      yes      yes      yes      yes      yes
siem:read        yes      yes      yes      yes      -
siem:write       yes      yes      yes      -        -
dlp:read         yes      yes      yes      yes      -
dlp:write        yes      yes      yes      -        -
jobs:read        yes      yes      yes      yes      -
jobs:write       yes      yes      yes      -        -
notify:read      yes      yes      yes      yes      -
notify:write     yes      yes      yes      -        -
prometheus:read  yes      yes      yes      yes      -
prometheus:write yes      yes      -        -        -
access:read      yes      yes      -        yes      -
access:admin     yes      yes      -        -        -
owners:admin     yes      -        -        -        -";

#[test]
fn policies_say_what_the_table_before_them_said() {
    let policies = Policies::built_in();
    let mut looked_at = 0;
    for line in BEFORE.lines() {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap();
        let action = *Action::ALL.iter().find(|a| a.as_str() == name).unwrap();
        for (role, word) in Role::ALL.iter().zip(words) {
            for all_tenants in [true, false] {
                let roles = [*role].iter().collect();
                let who = Who::User { roles, all_tenants };
                let may = policies.decide(who, action, Target::Own).allowed();
                assert_eq!(may, word == "yes", "{role} {action}");
                looked_at += 1;
            }
        }
    }
    assert_eq!(looked_at, Action::ALL.len() * Role::ALL.len() * 2);
}

fn principal(roles: Vec<Role>, tenants: TenantScope, scopes: Option<Scopes>) -> Principal {
    Principal {
        kind: PrincipalKind::User,
        id: "usr_1".to_owned(),
        name: "u@example.org".to_owned(),
        roles,
        tenants,
        scopes,
        policies: Policies::built_in(),
    }
}

#[test]
fn a_request_is_answered_as_the_matrix_says() {
    let (mine, theirs) = (TenantId::new(UnixMicros(1)), TenantId::new(UnixMicros(2)));
    let matrix = Matrix::of(&Policies::built_in());
    for row in &matrix.rows {
        let (scope, of) = match row.reach {
            Reach::AllTenants => (TenantScope::All, theirs),
            Reach::OwnTenant => (TenantScope::One(mine), mine),
            Reach::OtherTenant => (TenantScope::One(mine), theirs),
        };
        for (role, cell) in Role::ALL.iter().zip(row.cells) {
            let by = principal(vec![*role], scope, None);
            let passes = by.require(row.action).is_ok() && by.require_tenant(of).is_ok();
            assert_eq!(
                passes,
                cell.allowed(),
                "{role} {} {:?}",
                row.action,
                row.reach
            );
            assert_eq!(by.may_with(row.action, of), cell.allowed());
        }
        let key = principal(Vec::new(), scope, Some(Scopes::parse(["*"]).unwrap()));
        assert_eq!(
            key.may_with(row.action, of),
            row.cells[COLUMNS.len() - 1].allowed(),
            "key {} {:?}",
            row.action,
            row.reach
        );
    }
}

#[test]
fn roles_add_up_and_a_forbidden_action_stays_forbidden() {
    let policies = own("@id(\"auditors-stay-out\") @reason(\"ticket 12\")\n\
         forbid(principal in Role::\"auditor\", action == Action::\"lake:read\", resource);\n\
         @id(\"no-erasure\") forbid(principal, action == Action::\"lake:erase\", resource)\n\
         when { !principal.all_tenants };")
    .unwrap();
    let mut by = principal(vec![Role::Admin], TenantScope::All, None);
    by.policies = policies.clone();
    assert!(by.may(Action::LakeRead) && by.may(Action::LakeErase));
    by.roles.push(Role::Auditor);
    let problem = by.require(Action::LakeRead).unwrap_err();
    assert_eq!(
        problem.detail,
        "the policy `auditors-stay-out` of this installation forbids lake:read: ticket 12"
    );
    assert_eq!(problem.extensions["policy"], "auditors-stay-out");
    // Refused once, recorded once, however often it is tried.
    assert!(by.require(Action::LakeRead).is_err());
    assert_eq!(policies.take_refusals(UnixMicros(0)).len(), 1);
    assert!(by.require(Action::LakeRead).is_err());
    assert_eq!(policies.take_refusals(UnixMicros(0)).len(), 0);
    // Where no role includes it, no policy is named.
    let mut member = principal(vec![Role::Member], TenantScope::All, None);
    member.policies = policies.clone();
    let problem = member.require(Action::LakeErase).unwrap_err();
    assert_eq!(
        problem.detail,
        "lake:erase needs one of the roles owner, admin"
    );
    // A key is bound like a person.
    let one = TenantScope::One(TenantId::new(UnixMicros(1)));
    let mut key = principal(Vec::new(), one, Some(Scopes::parse(["*"]).unwrap()));
    key.policies = policies.clone();
    assert!(!key.may(Action::LakeErase) && key.may(Action::LakeRead));
    insta::assert_snapshot!("the_matrix_with_own_policies", printed(&policies));
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_place() {
    let cases = [
        "forbid(principal, action, resource)",
        "\n  @id(\"a\") permit(principal, action, resource);",
        "forbid(principal, action, resource);",
        "@id(\"a b\") forbid(principal, action, resource);",
        "@id(\"a\") forbid(principal in Role::\"oprator\", action, resource);",
        "@id(\"a\") forbid(principal, action == Action::\"lake:eras\", resource);",
        "@id(\"a\")\nforbid(principal, action, resource)\nwhen { principal.all_tenant };",
        "@id(\"a\") forbid(principal == User::\"usr_1\", action, resource);",
        "@id(\"a\") forbid(principal is Key, action == Action::\"owners:admin\", resource);",
        "@id(\"a\") forbid(principal, action, resource) when { false };",
        "@id(\"a\") forbid(principal, action == Action::\"read\", resource);",
        "@id(\"a\") forbid(principal, action, resource) when { 9223372036854775807 + 1 == 0 };",
        "@id(\"a\") forbid(principal == ?principal, action, resource);",
        "@id(\"a\") forbid(principal, action, resource);\n@id(\"a\") forbid(principal, action, resource);",
        "@id(\"member\") forbid(principal, action, resource);",
        "@id(\"ä\") forbid(principal, action, resource)\n when { \"open };",
    ];
    let told: Vec<_> = cases
        .map(|text| format!("{text}\n=> {}\n", own(text).unwrap_err()))
        .into();
    insta::assert_snapshot!(told.join("\n"));
    let error = Policies::from_texts([("a.cedar", &b"// \xc3\xa4\n \xff"[..])]).unwrap_err();
    assert_eq!(error.to_string(), "a.cedar:2:2: is not UTF-8");
    let large = vec![b' '; 65 * 1024];
    assert!(Policies::from_texts([("a.cedar", &large[..])]).is_err());
}

#[test]
fn a_folder_is_read_in_the_order_of_its_names_and_holds_policies_only() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put(
        "b.cedar",
        "@id(\"two\") forbid(principal is Key, action, resource);",
    );
    put(
        "a.cedar",
        "@id(\"one\") forbid(principal is Key, action, resource);",
    );
    put("README.md", "Why.");
    put(".hidden", "x");
    let policies = Policies::read(folder.path()).unwrap();
    let ids: Vec<_> = policies
        .own()
        .iter()
        .map(|policy| policy.id.as_str())
        .collect();
    assert_eq!(ids, ["one", "two"]);
    put("c.ceder", "");
    let error = Policies::read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("c.ceder: is no policy file"), "{error}");
    let missing = Policies::read(&folder.path().join("none")).unwrap_err();
    assert!(missing.place.ends_with("none"), "{missing}");
}

/// As large and as deep as the scan lets pass, of everything that the parser recurses over, on the small stack of a
/// worker thread.
#[test]
fn nothing_that_passes_the_scan_exhausts_the_stack() {
    let fill = |text: &str, tokens: usize| text.repeat((super::scan::MOST_TOKENS - 60) / tokens);
    let deep = |open: &str, inner: &str, close: &str| {
        format!("{}{inner}{}", open.repeat(28), close.repeat(28))
    };
    let conditions = [
        format!("{}1 == 1", fill("1 + ", 2)),
        format!("{}true", fill("true && ", 3)),
        format!("{}true", fill("false || ", 3)),
        format!("{}1 == 1", fill("1 * ", 2)),
        format!("{}true", fill("if true then true else ", 5)),
        format!("{}true", fill("if ", 1)),
        format!("{}true", fill("!", 1)),
        format!("{}1 == 1", fill("-", 1)),
        format!("principal{}", fill(".a", 2)),
        format!("principal{}", fill("[\"a\"]", 3)),
        format!("principal has a{}", fill(".a", 2)),
        deep("(", "true", ")"),
        deep("[", "1", "]"),
        deep("{a:", "1", "}"),
        deep("!(", "true", ")"),
        deep("principal.contains(", "1", ")"),
        format!("[{}1].contains(1)", fill("1,", 2)),
    ];
    std::thread::Builder::new()
        .stack_size(2 * 1024 * 1024)
        .spawn(move || {
            for condition in conditions {
                let policy = format!(
                    "@id(\"a\") forbid(principal, action, resource) when {{ {condition} }};"
                );
                let read = own(&policy);
                if let Err(error) = read {
                    assert!(error.starts_with("own.cedar:1:"), "{error}");
                }
            }
            let whens = "when { true } ".repeat(230);
            own(&format!(
                "@id(\"a\") forbid(principal, action, resource) {whens};"
            ))
            .unwrap();
        })
        .unwrap()
        .join()
        .unwrap();
    let nested = format!(
        "@id(\"a\") forbid(principal, action, resource) when {{ {}true{} }};",
        "(".repeat(20_000),
        ")".repeat(20_000)
    );
    assert!(own(&nested).unwrap_err().contains("nested deeper than 32"));
}

fn condition() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("principal.all_tenants".to_owned()),
        Just("principal is Key".to_owned()),
        Just("resource == Tenant::\"own\"".to_owned()),
        prop::sample::select(Role::ALL).prop_map(|r| format!("principal in Role::\"{r}\"")),
        prop::sample::select(Action::ALL).prop_map(|a| format!("action == Action::\"{a}\"")),
        prop::sample::select(vec!["read", "write", "manage"])
            .prop_map(|g| format!("action in Action::\"{g}\"")),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a}) || ({b})")),
        ]
    })
}

fn whoever() -> impl Iterator<Item = Who> {
    (0..RoleSet::SIZE as u8)
        .map(|roles| Who::User {
            roles: RoleSet(roles),
            all_tenants: roles % 2 == 0,
        })
        .chain([true, false].map(|all_tenants| Who::Key { all_tenants }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn own_policies_widen_nothing(
        written in prop::collection::vec((any::<bool>(), any::<bool>(), condition()), 1..4),
    ) {
        let text: String = written
            .iter()
            .enumerate()
            .map(|(number, (permit, when, condition))| {
                let effect = if *permit { "permit" } else { "forbid" };
                let clause = if *when { "when" } else { "unless" };
                format!("@id(\"p{number}\") {effect}(principal, action, resource) {clause} {{ {condition} }};\n")
            })
            .collect();
        // What permits is refused, and so is what can never apply; the rest only takes away.
        let Ok(policies) = own(&text) else { return Ok(()) };
        prop_assert!(written.iter().all(|(permit, ..)| !permit));
        let built_in = Policies::built_in();
        for who in whoever() {
            for action in Action::ALL {
                for target in [Target::Own, Target::Other] {
                    let now = policies.decide(who, *action, target).allowed();
                    let before = built_in.decide(who, *action, target).allowed();
                    prop_assert!(before || !now, "{who:?} {action}");
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Policies::from_texts([("own.cedar", bytes.as_slice())]);
    }

    #[test]
    fn any_words_of_the_language_are_read_or_refused(
        words in prop::collection::vec(prop::sample::select(vec![
            "@id(\"a\")", "forbid", "permit", "(", ")", "{", "}", "[", "]", "principal", "action",
            "resource", "when", "unless", ";", ",", "==", "in", "is", "has", "like", "Role::\"owner\"",
            "\"", "\\", "//", "\n", ".", "if", "then", "else", "&&", "||", "!", "-", "1", "?principal",
            "Action::\"read\"", "true", "ä", ":", "*", "context", "<", "ip(\"::1\")",
        ]), 0..60),
    ) {
        let text = words.join(" ");
        let _ = Policies::from_texts([("own.cedar", text.as_bytes())]);
    }
}
