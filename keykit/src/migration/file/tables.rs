//! The tables of a migration file: where the keys are, who keeps them next, and who approves.

use std::fmt;

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::reader::{
    Field, FieldDescription, Need, Placed, Position, Reader, Table, TableDescription, Value, key_of, not_one_of, one_of, table, words,
};
use super::surroundings::{
    Batch, Clients, Connector, Decommission, Directory, Dns, Network, Onboarding, Partner, ReadOnlyMode, Services, Workstation,
};
use super::systems::{Region, Windows};
use super::values::{ApproverKey, Day, FilePath, KeyUrl, Mode, PasswordSource, SchemaVersion, ServerUrl, StoreUri, Version};
use crate::tenant::{Era, Managed};
use crate::xrml::Guid;

table! {
    /// A whole migration: where the keys are, where they go, who is affected and who approves. It holds no secret.
    pub struct MigrationFile {
        /// Version of this format.
        schema: Placed<SchemaVersion>,
        /// Which import rules hold: those of 2016, where the first key of an import becomes active, or the current ones, where all
        /// imported keys are archived and one is activated afterwards (rules 51–56). Without it: current.
        era: Option<Placed<Era>>,
        /// Who migrates.
        organisation: Organisation,
        /// Where the keys go.
        tenant: Tenant,
        /// The forests in which AD RMS runs.
        forest: Vec<Forest>,
        /// What becomes of single templates. Those that are not named stay archived.
        template: Vec<TemplateChoice>,
        /// Organisations that exchange protected documents with this one.
        partner: Vec<Partner>,
        /// The directory and its synchronisation.
        directory: Option<Directory>,
        /// Exchange, SharePoint and classified files.
        services: Option<Services>,
        /// The connector between servers and the new service.
        connector: Option<Connector>,
        /// The DNS zones in which records are added and removed.
        dns: Option<Dns>,
        /// Computers and devices of users.
        clients: Option<Clients>,
        /// Controls that let users move in batches.
        onboarding: Option<Onboarding>,
        /// Users that move together, in this order. One batch, or none named: all move at once.
        batch: Vec<Batch>,
        /// The computer on which the documented cmdlets run.
        workstation: Option<Workstation>,
        /// The way to the service.
        network: Option<Network>,
        /// The nShield toolset on the disconnected computer.
        toolset: Option<Toolset>,
        /// AD RMS goes on for old content only, because a key can't leave its module (rules 178–182).
        read_only_mode: Option<ReadOnlyMode>,
        /// The end of AD RMS.
        decommission: Option<Decommission>,
        /// The new key after the migration.
        rekey: Option<Rekey>,
        /// What is to be opened to prove that nothing was lost.
        proof: Option<ProofPlan>,
        /// What is allowed although it is dangerous; each needs the higher quorum.
        danger: Option<Danger>,
        /// Who must approve the plan.
        approval: Option<Approval>,
    }
}

table! {
    /// Who migrates.
    pub struct Organisation {
        /// Name, for reports.
        name: Placed<String>,
        /// Its verified e-mail domains.
        email_domains: Vec<Placed<String>>,
    }
}

table! {
    /// Where the keys go.
    pub struct Tenant {
        /// Name of the tenant, for example `contoso.onmicrosoft.com`.
        name: Placed<String>,
        /// Identity of the tenant in the directory.
        id: Placed<Guid>,
        /// Region of the service.
        region: Placed<Region>,
        /// Whether the service is activated already (rules 5, 82–85).
        activated: Placed<bool>,
        /// Day on which the subscription began: since February 2018 new ones are activated by themselves (rule 20).
        subscribed: Option<Placed<Day>>,
        /// Whether automatic activation was switched off (`AutomaticServiceUpdateEnabled` false, or deactivated since; rule 20).
        automatic_activation_off: Option<Placed<bool>>,
        /// URL of the service for this tenant, `https://<GUID>.rms.<region>.aadrm.com` (rule 160).
        url: Option<Placed<ServerUrl>>,
        /// Who keeps the key: the service in software, or the customer in a hardware security module (rule 41).
        managed: Placed<Managed>,
        /// Folder of the tenant keyring; made if it is not there.
        folder: Placed<FilePath>,
        /// Where the password of that folder comes from. Without it: asked for.
        keyring_password_source: Option<Placed<PasswordSource>>,
        /// Token that holds the keys, for `managed = "customer"`. Either this or `transfer-profile`.
        store: Option<Placed<StoreUri>>,
        /// Provider to which transfer files are made, for `managed = "customer"`. Either this or `store`.
        transfer_profile: Option<Placed<TransferProfile>>,
        /// Public key encryption key of that provider, PEM.
        key_encryption_key: Option<Placed<FilePath>>,
        /// SHA-256 of that key's SubjectPublicKeyInfo, as its owner read it out.
        key_encryption_key_fingerprint: Option<Placed<String>>,
        /// Region for which that key was made (rule 36). Without it: the tenant's.
        key_encryption_key_region: Option<Placed<Region>>,
        /// Identifier (`kid`) of that key at its provider.
        key_encryption_key_id: Option<Placed<String>>,
        /// Folders of other tenants, which must not hold these keys (rule 4).
        other_tenants: Vec<Placed<FilePath>>,
        /// Templates of its own that the tenant has already (rules 84, 141).
        custom_templates: Option<Placed<u32>>,
        /// Whether those were exported, to be imported again afterwards (rule 130).
        custom_templates_exported: Option<Placed<bool>>,
        /// Whether users may have protected documents with the tenant's own key already (rule 83).
        content_protected: Option<Placed<bool>>,
        /// Whether the free "individuals" subscription is in use, which has no customer-managed keys (rule 21).
        individuals_subscription: Option<Placed<bool>>,
        /// Addresses of users that may open everything (rule 234). Without any: the feature stays off.
        super_users: Vec<Placed<String>>,
        /// Address of the one group whose members may open everything (rule 234).
        super_user_group: Option<Placed<String>>,
        /// The Azure Key Vault of a customer-managed key.
        vault: Option<Vault>,
    }
}

words! {
    /// Providers that transfer files are made for.
    pub enum TransferProfile {
        /// Azure Key Vault
        AzureKeyVault = "azure-key-vault",
        /// Azure Managed HSM
        AzureManagedHsm = "azure-managed-hsm",
        /// AWS KMS, wrapped with SHA-256
        AwsKmsSha256 = "aws-kms-sha256",
        /// AWS KMS, wrapped with SHA-1
        AwsKmsSha1 = "aws-kms-sha1",
        /// Google Cloud KMS, 3072-bit import key, SHA-256
        GoogleKms3072Sha256 = "google-kms-3072-sha256",
        /// Google Cloud KMS, 4096-bit import key, SHA-256
        GoogleKms4096Sha256 = "google-kms-4096-sha256",
        /// Google Cloud KMS, 3072-bit import key, SHA-1
        GoogleKms3072Sha1 = "google-kms-3072-sha1",
        /// Google Cloud KMS, 4096-bit import key, SHA-1
        GoogleKms4096Sha1 = "google-kms-4096-sha1",
        /// Vault's transit engine
        VaultTransit = "vault-transit",
        /// Oracle Cloud vault
        OciVault = "oci-vault",
        /// Any token, through PKCS#11
        Pkcs11 = "pkcs11",
    }
}

table! {
    /// The Azure Key Vault of a customer-managed key.
    pub struct Vault {
        /// Its name.
        name: Placed<String>,
        /// Identity of its Azure subscription (rule 21).
        subscription: Option<Placed<Guid>>,
        /// Its resource group.
        resource_group: Option<Placed<String>>,
        /// Its tier; keys in hardware need premium (rule 21).
        tier: Placed<VaultTier>,
        /// Its region, in the tenant's words (rule 36).
        region: Option<Placed<Region>>,
        /// Whether there is a paid Azure subscription (rule 21).
        paid_subscription: Option<Placed<bool>>,
        /// Whether the vault is for these keys alone (rule 111).
        dedicated: Option<Placed<bool>>,
        /// Whether a firewall guards it, and trusted Microsoft services may not pass (rule 110).
        blocks_trusted_services: Option<Placed<bool>>,
        /// What the service's principal may do with the keys (rule 108).
        permissions: Vec<Placed<KeyOperation>>,
        /// What the keys themselves allow (rule 109). Without it: everything.
        key_operations: Vec<Placed<KeyOperation>>,
        /// What the key encryption key allows (rule 106).
        key_encryption_key_operations: Vec<Placed<KeyOperation>>,
        /// Size of the key encryption key in bits (rule 106).
        key_encryption_key_bits: Option<Placed<u32>>,
    }
}

words! {
    /// Tiers of Azure Key Vault.
    pub enum VaultTier {
        /// Software
        Standard = "standard",
        /// Hardware
        Premium = "premium",
    }
}

words! {
    /// Operations on a key in Azure Key Vault.
    pub enum KeyOperation {
        /// Read the public half
        Get = "get",
        /// Decrypt
        Decrypt = "decrypt",
        /// Encrypt
        Encrypt = "encrypt",
        /// Sign
        Sign = "sign",
        /// Verify
        Verify = "verify",
        /// Wrap
        WrapKey = "wrapkey",
        /// Unwrap
        UnwrapKey = "unwrapkey",
        /// Import under it
        Import = "import",
    }
}

table! {
    /// A forest.
    pub struct Forest {
        /// Name.
        name: Placed<String>,
        /// Clusters of AD RMS in it.
        cluster: Vec<Cluster>,
    }
}

table! {
    /// A cluster of AD RMS.
    pub struct Cluster {
        /// Name, different for every cluster of this file.
        name: Placed<String>,
        /// Root or licensing-only (rules 3, 43).
        kind: Placed<ClusterKind>,
        /// What its servers run (rule 1).
        operating_system: Placed<Windows>,
        /// Cryptographic mode, 1 or 2 (rule 22). A root cluster must say it.
        cryptographic_mode: Option<Placed<Mode>>,
        /// Whether it was in mode 1 once and was changed to mode 2 (rule 44).
        upgraded_from_mode_1: Option<Placed<bool>>,
        /// Whether it is to be changed to mode 2 before the migration (rule 22 says no).
        upgrade_before_migration: Option<Placed<bool>>,
        /// How its key is kept now (rule 41). A root cluster must say it.
        protection: Option<Placed<KeyProtection>>,
        /// Whether the supplier moved the key to an nShield module first, for the last two kinds of protection (rule 41).
        moved_to_nshield: Option<Placed<bool>>,
        /// Files with evidence of the protection: `nfkmattest verify`, `nfkminfo -l`, `nfkminfo -k APP IDENT` (rule 29).
        evidence: Vec<Placed<FilePath>>,
        /// Token that holds the key, if one does.
        source: Option<Placed<StoreUri>>,
        /// Whether a key in a module can leave it (rule 31).
        exportable: Option<Placed<bool>>,
        /// Licensing URL inside the organisation (rule 166).
        intranet_url: Option<Placed<ServerUrl>>,
        /// Licensing URL outside (rules 153, 166).
        extranet_url: Option<Placed<ServerUrl>>,
        /// Further licensing URLs that old licences name: short names, other schemes (rule 154).
        former_urls: Vec<Placed<ServerUrl>>,
        /// Database server of its log (rule 211).
        logging_server: Option<Placed<String>>,
        /// Name of its logging database, `DRMS_Logging_…` (rule 211).
        logging_database: Option<Placed<String>>,
        /// Friendly name of the server certificate (rule 58).
        friendly_name: Option<Placed<String>>,
        /// Whether it is to go on with "hold your own key" afterwards (rule 38).
        hold_your_own_key: Option<Placed<bool>>,
        /// How many trusted publishing domains its console lists (rule 43).
        domains_in_console: Option<Placed<u32>>,
        /// The exported trusted publishing domains.
        domain: Vec<ExportedDomain>,
    }
}

words! {
    /// Kinds of clusters.
    pub enum ClusterKind {
        /// The root cluster of a forest
        Root = "root",
        /// A cluster that only licenses
        LicensingOnly = "licensing-only",
    }
}

words! {
    /// How a cluster keeps its key (rule 41).
    pub enum KeyProtection {
        /// In the database of AD RMS, under a password
        Database = "database",
        /// In an nShield module
        Nshield = "nshield",
        /// In the module of another supplier
        OtherHsm = "other-hsm",
        /// By an external cryptographic provider, under a password
        ExternalProvider = "external-provider",
    }
}

table! {
    /// A trusted publishing domain that was exported.
    pub struct ExportedDomain {
        /// The exported file (rule 45).
        file: Placed<FilePath>,
        /// Where its password comes from; one of its own for every file (rule 46). Without it: asked for.
        password_source: Option<Placed<PasswordSource>>,
        /// Whether its key is the one that is active in AD RMS now and is to be active in the tenant (rule 56).
        active: Option<Placed<bool>>,
        /// Where the key is in Azure Key Vault (rules 69, 107).
        key_url: Option<Placed<KeyUrl>>,
        /// Name of the key in the source module or the transfer package (rule 77).
        identifier: Option<Placed<String>>,
    }
}

table! {
    /// What becomes of a template.
    pub struct TemplateChoice {
        /// Its GUID.
        id: Placed<Guid>,
        /// Whether it is to be published (rule 131).
        publish: Option<Placed<bool>>,
        /// Who gets the rights that ANYONE had: addresses of users and groups, or `all-staff` for the group of the whole tenant
        /// (rules 133, 134).
        replace_anyone_with: Vec<Placed<String>>,
    }
}

table! {
    /// The nShield toolset on the disconnected computer.
    pub struct Toolset {
        /// What the disconnected computer runs (rule 90).
        operating_system: Option<Placed<Windows>>,
        /// Version of the nShield software (rules 71, 90, 96).
        software_version: Option<Placed<Version>>,
        /// Version of the module's firmware (rule 96).
        firmware_version: Option<Placed<Version>>,
        /// Region of the packages: the word at the end of their names, for example `EU-1` (rules 36, 103).
        package_region: Option<Placed<PackageRegion>>,
        /// Free space on the removable drive in MiB (rule 90).
        drive_mib: Option<Placed<u32>>,
        /// Whether it is on a network (rule 90).
        networked: Option<Placed<bool>>,
        /// How many administrator cards are made (rule 95).
        cards: Option<Placed<u32>>,
        /// How many of them are needed (rule 95).
        cards_needed: Option<Placed<u32>>,
        /// How many people hold them (rule 97).
        card_holders: Option<Placed<u32>>,
        /// Whether the signature of the key exchange package was verified (rule 98).
        package_verified: Option<Placed<bool>>,
        /// Whether world file, cards and the tokenized key were backed up (rules 97, 222).
        backed_up: Option<Placed<bool>>,
        /// How the new key is protected in the module (rule 76).
        protect: Option<Placed<ToolsetProtection>>,
    }
}

words! {
    /// What `protect=` of `generatekey` can be.
    pub enum ToolsetProtection {
        /// By the module
        Module = "module",
        /// By an operator card set
        Token = "token",
        /// By a softcard
        Softcard = "softcard",
    }
}

words! {
    /// Regions of the packages of the nShield toolset (rule 103).
    pub enum PackageRegion {
        /// United States
        Na1 = "NA-1",
        /// Europe
        Eu1 = "EU-1",
        /// Asia and the Pacific
        Ap1 = "AP-1",
        /// Latin America
        Latam1 = "LATAM-1",
        /// Japan
        Jpn1 = "JPN-1",
        /// Korea
        Korea1 = "KOREA-1",
        /// South Africa
        Sa1 = "SA-1",
        /// United Arab Emirates
        Uae1 = "UAE-1",
        /// Australia
        Aus1 = "AUS-1",
        /// Government of the United States
        UsGov1 = "USGOV-1",
        /// Department of Defense of the United States
        UsDod1 = "USDOD-1",
        /// Canada
        Canada1 = "CANADA-1",
        /// Germany
        Germany1 = "GERMANY-1",
        /// India
        India1 = "INDIA-1",
        /// France
        France1 = "FRANCE-1",
        /// United Kingdom
        Uk1 = "UK-1",
        /// Switzerland
        Sui1 = "SUI-1",
    }
}

table! {
    /// The new key after the migration (rules 215–219).
    pub struct Rekey {
        /// Whether a new key follows the migration.
        after_migration: Placed<bool>,
        /// Where it comes from (rules 123, 216).
        key: Option<Placed<RekeySource>>,
        /// Its size in bits (rule 32).
        bits: Option<Placed<u32>>,
        /// Where it is in Azure Key Vault, if it is there already (rules 107, 218).
        key_url: Option<Placed<KeyUrl>>,
    }
}

words! {
    /// Where the key of a re-keying comes from.
    pub enum RekeySource {
        /// A new key that the customer makes
        New = "new",
        /// The key that the service made for the tenant in the beginning
        Automatic = "automatic",
    }
}

table! {
    /// What is to be opened to prove that nothing was lost.
    pub struct ProofPlan {
        /// Licences, or files with licences, that were protected before.
        licences: Vec<Placed<FilePath>>,
    }
}

table! {
    /// What is allowed although it is dangerous; each needs the higher quorum.
    pub struct Danger {
        /// An AES key that exists in this process for a moment, where the source token offers no other way.
        host_visible_ephemeral_key: Option<Placed<bool>>,
        /// Keys stay wrappable under a trusted key, for a later transfer.
        keep_transferable: Option<Placed<bool>>,
    }
}

impl Danger {
    /// The keys of the flags that are set.
    #[must_use]
    pub fn flags(&self) -> Vec<&'static str> {
        let flags = [("host-visible-ephemeral-key", &self.host_visible_ephemeral_key), ("keep-transferable", &self.keep_transferable)];
        flags.into_iter().filter(|(_, flag)| flag.as_ref().is_some_and(|flag| flag.value)).map(|(name, _)| name).collect()
    }
}

table! {
    /// Who must approve the plan: signatures of people over its hash.
    pub struct Approval {
        /// How many people must approve.
        threshold: Placed<u32>,
        /// How many must approve if `[danger]` allows something. Without it: all.
        danger_threshold: Option<Placed<u32>>,
        /// Roles of which at least one person must approve.
        roles: Vec<Placed<String>>,
        /// Days for which an approval holds. Without it: 30.
        valid_days: Option<Placed<u32>>,
        /// The people.
        person: Vec<Person>,
    }
}

table! {
    /// A person who approves.
    pub struct Person {
        /// Name.
        name: Placed<String>,
        /// Role, for example `custodian` or `security-officer`.
        role: Placed<String>,
        /// Public key.
        key: Placed<ApproverKey>,
    }
}
