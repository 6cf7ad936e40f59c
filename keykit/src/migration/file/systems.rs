//! Words for regions and systems that more than one table uses.

use std::fmt;

use serde::Serialize;
use toml::de::DeValue;

use super::reader::{Value, not_one_of, one_of, words};

words! {
    /// Region of a tenant, as its URLs name it (rule 112).
    pub enum Region {
        /// North America
        NorthAmerica = "na",
        /// Europe
        Europe = "eu",
        /// Asia and the Pacific
        AsiaPacific = "ap",
        /// South America
        SouthAmerica = "sa",
        /// Government of the United States, in the common cloud
        GovernmentUs = "govus",
        /// Sovereign cloud of the United States
        UsGovernment = "us",
        /// Sovereign cloud of China
        China = "cn",
    }
}

words! {
    /// Versions of Windows: of servers that run the source, a connector or classified files, and of clients.
    pub enum Windows {
        /// Windows Server 2003
        Server2003 = "windows-server-2003",
        /// Windows Server 2008 for x86 processors
        Server2008X86 = "windows-server-2008-x86",
        /// Windows Server 2008
        Server2008 = "windows-server-2008",
        /// Windows Server 2008 R2
        Server2008R2 = "windows-server-2008-r2",
        /// Windows Server 2012
        Server2012 = "windows-server-2012",
        /// Windows Server 2012 R2
        Server2012R2 = "windows-server-2012-r2",
        /// Windows Server 2016
        Server2016 = "windows-server-2016",
        /// Windows Server 2019
        Server2019 = "windows-server-2019",
        /// Windows Server 2022
        Server2022 = "windows-server-2022",
        /// Windows Vista or older
        VistaOrOlder = "windows-vista-or-older",
        /// Windows 7
        Client7 = "windows-7",
        /// Windows 8
        Client8 = "windows-8",
        /// Windows 8.1
        Client81 = "windows-8.1",
        /// Windows RT 8.1
        ClientRt81 = "windows-rt-8.1",
        /// Windows 10
        Client10 = "windows-10",
        /// Windows 11
        Client11 = "windows-11",
    }
}

words! {
    /// Versions of Office on clients.
    pub enum Office {
        /// Office 2007 or older
        Office2007OrOlder = "office-2007-or-older",
        /// Office 2010
        Office2010 = "office-2010",
        /// Office 2013
        Office2013 = "office-2013",
        /// Office 2016, installed from MSI packages
        Office2016Msi = "office-2016-msi",
        /// Office 2016, click-to-run
        Office2016ClickToRun = "office-2016-click-to-run",
        /// Office 2019
        Office2019 = "office-2019",
        /// Microsoft 365 Apps
        Microsoft365Apps = "microsoft-365-apps",
    }
}
