"""EXIficient with grammars built from the schemas themselves: run by a Python that has `iso15118` and a Java.

Reads lines `{"schema": .., "exi": hex}` and responds to each with EXIficient's encoding of the decoded message
(`{"exi": hex}`), or `{"error": ..}`. No Josev class is involved.
"""

import glob
import json
import os
import re
import shutil
import sys
import tempfile

SETS = {
    "sap": "V2G_CI_AppProtocol.xsd",
    "din": "din_spec/V2G_CI_MsgDef.xsd",
    "iso2": "iso15118_2/V2G_CI_MsgDef.xsd",
    "iso20": "iso15118_20/V2G_CI_CommonMessages.xsd",
    "iso20-dc": "iso15118_20/V2G_CI_DC.xsd",
    "iso20-ac": "iso15118_20/V2G_CI_AC.xsd",
    "xmldsig": "xmldsig-core-schema.xsd",
}


def main():
    import iso15118
    from iso15118.shared.settings import JAR_FILE_PATH
    from py4j.java_gateway import JavaGateway

    java = ["--add-opens", "java.base/java.lang=ALL-UNNAMED"]
    jvm = JavaGateway.launch_gateway(classpath=JAR_FILE_PATH, die_on_exit=True, javaopts=java).jvm
    out, sys.stdout = sys.stdout, sys.stderr
    with tempfile.TemporaryDirectory() as folder:
        lay_out(os.path.join(os.path.dirname(iso15118.__file__), "shared", "schemas"), folder)
        factories = {}
        for line in sys.stdin:
            request = json.loads(line)
            name = request["schema"]
            try:
                if name not in factories:
                    factories[name] = factory(jvm, folder, name)
                answer = {"exi": again(jvm, factories[name], bytes.fromhex(request["exi"])).hex()}
            except Exception as error:
                answer = {"error": str(error)[:300]}
            out.write(json.dumps(answer) + "\n")
            out.flush()


def lay_out(source, folder):
    """Copy the schemas so that they resolve each other, and without the DTD that a reader would fetch."""
    for path in glob.glob(os.path.join(source, "**", "*.xsd"), recursive=True):
        target = os.path.join(folder, os.path.relpath(path, source))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(path, target)
    with open(os.path.join(source, "xmldsig-core-schema.xsd"), encoding="utf-8") as file:
        text = re.sub(r"<!DOCTYPE.*?\]>", "", file.read(), flags=re.DOTALL)
    for inner in ("", "din_spec", "iso15118_2", "iso15118_20"):
        with open(os.path.join(folder, inner, "xmldsig-core-schema.xsd"), "w", encoding="utf-8") as file:
            file.write(text)


def factory(jvm, folder, name):
    """Return grammars and options of the charging standards."""
    grammars = jvm.com.siemens.ct.exi.grammars.GrammarFactory.newInstance()
    made = jvm.com.siemens.ct.exi.core.helpers.DefaultEXIFactory.newInstance()
    made.setGrammars(grammars.createGrammars(os.path.join(folder, SETS[name.replace("-fragment", "")])))
    made.setFragment(name.endswith("-fragment"))
    made.setValuePartitionCapacity(0)
    made.setValueMaxLength(0)
    return made


def again(jvm, made, data):
    """Decode and encode, event by event."""
    reader = jvm.com.siemens.ct.exi.main.api.sax.EXISource(made).getXMLReader()
    result = jvm.com.siemens.ct.exi.main.api.sax.EXIResult(made)
    written = jvm.java.io.ByteArrayOutputStream()
    result.setOutputStream(written)
    reader.setContentHandler(result.getHandler())
    reader.parse(jvm.org.xml.sax.InputSource(jvm.java.io.ByteArrayInputStream(data)))
    return bytes(written.toByteArray())


if __name__ == "__main__":
    main()
