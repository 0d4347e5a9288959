-- A bank file that has been taken, or that never can be, is not kept any longer: it holds personal data.
GRANT DELETE ON waiting_files TO backoffice_writer;
