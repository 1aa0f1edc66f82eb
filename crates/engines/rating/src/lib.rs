//! Price books and rating: from quantities to amounts, exactly.
