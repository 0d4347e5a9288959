import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads the affiliation topic from its beginning and adds up the zorgpremie: charged, received, open; in cents.
 *
 * <pre>
 * java -cp "lib/*" PremiumTotals.java BROKERS REGISTRY_URL TOPIC [READER_SCHEMA_FILE ...]
 * </pre>
 *
 * In lib/: org.apache.kafka:kafka-clients, org.apache.avro:avro, com.fasterxml.jackson.core:jackson-databind, and what
 * these need. A reader schema is the version of a record that this program was written for: what an older message does
 * not have is filled with its default, what a newer one added is left out. Records without one are read as written.
 * Prints one JSON object.
 */
public final class PremiumTotals {

    /** A message that names one before it that did not come: ask for the past again, your sums would be wrong. */
    static final class MessagesMissing extends RuntimeException {
        private static final long serialVersionUID = 1L;

        MessagesMissing(TopicPartition where, long sequence) {
            super(where + " before sequence " + sequence);
        }
    }

    /** The back office was put back to an earlier state and counts from there again: ask what is still true. */
    static final class OtherHistory extends RuntimeException {
        private static final long serialVersionUID = 1L;

        OtherHistory(TopicPartition where) {
            super(where.toString());
        }
    }

    /** Notices a message that is missing, and drops one that comes twice. Keep {@code last} with your results. */
    static final class GapDetector {
        private record Last(long sequence, String epoch) {}

        private final Map<TopicPartition, Last> last = new HashMap<>();

        boolean isNew(ConsumerRecord<byte[], byte[]> message) {
            TopicPartition where = new TopicPartition(message.topic(), message.partition());
            long sequence = Long.parseLong(header(message, "ce_sequence"));
            String previousText = header(message, "ce_previoussequence");
            Long previous = previousText == null ? null : Long.valueOf(previousText);
            String epoch = header(message, "ce_epoch");
            Last known = last.get(where);
            if (known != null && !known.epoch().equals(epoch) && !Long.valueOf(known.sequence()).equals(previous)) {
                throw new OtherHistory(where);
            }
            if (known != null && sequence <= known.sequence()) {
                return false;
            }
            boolean first = previous == null && known == null;
            boolean follows = previous != null && known != null && previous <= known.sequence();
            if (!first && !follows) {
                throw new MessagesMissing(where, sequence);
            }
            last.put(where, new Last(sequence, epoch));
            return true;
        }
    }

    /** Schemas by the id that stands in a message, each asked for once. */
    static final class Registry {
        private final HttpClient client = HttpClient.newHttpClient();
        private final ObjectMapper json = new ObjectMapper();
        private final Map<Integer, Schema> known = new HashMap<>();
        private final String url;

        Registry(String url) {
            this.url = url.endsWith("/") ? url.substring(0, url.length() - 1) : url;
        }

        Schema schema(int id) throws IOException, InterruptedException {
            Schema found = known.get(id);
            if (found == null) {
                HttpRequest request = HttpRequest.newBuilder(URI.create(url + "/schemas/ids/" + id))
                        .timeout(Duration.ofSeconds(10)).build();
                HttpResponse<String> answer = client.send(request, HttpResponse.BodyHandlers.ofString());
                if (answer.statusCode() != 200) {
                    throw new IOException("The registry answers " + answer.statusCode() + " to schema " + id);
                }
                found = new Schema.Parser().parse(json.readTree(answer.body()).get("schema").asText());
                known.put(id, found);
            }
            return found;
        }
    }

    /** What a ledger wants to know of all members together. Amounts are whole cents; years are kept apart. */
    static final class Totals {
        long receivedCents;
        long creditCents;
        long refundedCents;
        final TreeMap<Integer, Long> chargedByYear = new TreeMap<>();
        final TreeMap<Integer, Long> paidByYear = new TreeMap<>();

        void take(GenericRecord fields) {
            switch (fields.getSchema().getName()) {
                case "ZorgpremieCharged" -> add(chargedByYear, year(fields), cents(fields, "amount_cents"));
                case "ZorgpremieAmountChanged" -> {
                    add(chargedByYear, year(fields), cents(fields, "to_cents") - cents(fields, "from_cents"));
                    add(paidByYear, year(fields), -cents(fields, "freed_cents"));
                    creditCents += cents(fields, "freed_cents");
                }
                case "PaymentReceived" -> {
                    receivedCents += cents(fields, "amount_cents");
                    creditCents += cents(fields, "credit_cents");
                    allocate(fields, 1);
                }
                case "PaymentReversed" -> {
                    receivedCents -= cents(fields, "amount_cents");
                    creditCents -= cents(fields, "credit_cents");
                    allocate(fields, -1);
                }
                case "CreditAllocated" -> creditCents -= allocate(fields, 1);
                case "CreditRefunded" -> {
                    creditCents -= cents(fields, "amount_cents");
                    refundedCents += cents(fields, "amount_cents");
                }
                default -> { } // says nothing about money
            }
        }

        private long allocate(GenericRecord fields, int sign) {
            long sum = 0;
            for (Object each : (List<?>) fields.get("allocations")) {
                GenericRecord part = (GenericRecord) each;
                add(paidByYear, year(part), sign * cents(part, "amount_cents"));
                sum += cents(part, "amount_cents");
            }
            return sum;
        }

        private static int year(GenericRecord fields) {
            return (Integer) fields.get("year");
        }

        private static long cents(GenericRecord fields, String name) {
            return (Long) fields.get(name);
        }

        private static void add(Map<Integer, Long> to, int year, long cents) {
            to.merge(year, cents, Long::sum);
        }

        static long sum(Map<Integer, Long> of) {
            return of.values().stream().mapToLong(Long::longValue).sum();
        }
    }

    private final Registry registry;
    private final Map<String, Schema> readers = new HashMap<>();
    private final GapDetector detector = new GapDetector();
    private final Totals totals = new Totals();
    private final Map<String, Integer> records = new TreeMap<>();
    private final Map<String, SortedSet<Integer>> schemas = new TreeMap<>();

    private PremiumTotals(String registryUrl, List<String> readerSchemaFiles) throws IOException {
        registry = new Registry(registryUrl);
        for (String file : readerSchemaFiles) {
            Schema reader = new Schema.Parser().parse(Path.of(file).toFile());
            readers.put(reader.getFullName(), reader);
        }
    }

    /** Reads every partition from its first message up to the end that it had when this began. */
    private void read(String brokers, String topic) throws IOException, InterruptedException {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", brokers);
        settings.put("enable.auto.commit", "false");
        settings.put("auto.offset.reset", "none"); // never jump in silence
        ByteArrayDeserializer plain = new ByteArrayDeserializer();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings, plain, plain)) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                    .map(each -> new TopicPartition(topic, each.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(each -> consumer.position(each) < ends.get(each))) {
                for (ConsumerRecord<byte[], byte[]> message : consumer.poll(Duration.ofSeconds(1))) {
                    if (message.value() != null && detector.isNew(message)) {
                        take(message.value());
                    }
                }
            }
        }
    }

    /** A value is a zero byte, the schema's id in four bytes (big-endian), then Avro. */
    private void take(byte[] value) throws IOException, InterruptedException {
        ByteBuffer framed = ByteBuffer.wrap(value);
        if (framed.get() != 0) {
            throw new IOException("A message does not begin with a zero byte");
        }
        int id = framed.getInt();
        Schema writer = registry.schema(id);
        Schema reader = readers.getOrDefault(writer.getFullName(), writer);
        BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(value, framed.position(), framed.remaining(), null);
        GenericRecord fields = new GenericDatumReader<GenericRecord>(writer, reader).read(null, decoder);
        if (!decoder.isEnd()) {
            throw new IOException("A message has bytes behind its record");
        }
        totals.take(fields);
        records.merge(writer.getName(), 1, Integer::sum);
        schemas.computeIfAbsent(writer.getName(), name -> new TreeSet<>()).add(id);
    }

    private Map<String, Object> answer() {
        Map<Integer, Long> open = new TreeMap<>();
        totals.chargedByYear.forEach((year, cents) -> open.put(year, cents - totals.paidByYear.getOrDefault(year, 0L)));
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("records", records);
        answer.put("schema_ids", schemas);
        answer.put("charged_cents", Totals.sum(totals.chargedByYear));
        answer.put("paid_cents", Totals.sum(totals.paidByYear));
        answer.put("received_cents", totals.receivedCents);
        answer.put("credit_cents", totals.creditCents);
        answer.put("refunded_cents", totals.refundedCents);
        answer.put("open_by_year", open);
        return answer;
    }

    private static String header(ConsumerRecord<byte[], byte[]> message, String name) {
        Header found = message.headers().lastHeader(name);
        return found == null ? null : new String(found.value(), StandardCharsets.UTF_8);
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        if (arguments.length < 3) {
            System.err.println("Usage: PremiumTotals BROKERS REGISTRY_URL TOPIC [READER_SCHEMA_FILE ...]");
            System.exit(2);
        }
        List<String> files = Arrays.asList(arguments).subList(3, arguments.length);
        PremiumTotals reading = new PremiumTotals(arguments[1], files);
        reading.read(arguments[0], arguments[2]);
        ObjectMapper json = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);
        System.out.println(json.writeValueAsString(reading.answer()));
    }
}
